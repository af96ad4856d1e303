// What is read beside models: tokenizers, autoencoders, saved sessions,
// grammars, templates, answers and adapters.

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "nlohmann/json.hpp"
#include "src/text/tokenizer/vocabulary.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/seeds.h"
#include "tests/support/autoencoder_files.h"
#include "tests/support/grammar_texts.h"
#include "tests/support/hostile_gemma4.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"
#include "tests/support/toy_vocab.h"
#include "tests/support/zip_writer.h"

namespace gemma::internal {
namespace {

void WriteTokenizers(const std::string& folder) {
  const VocabularyForms forms = ToyVocabulary();
  Corpus(folder, "tokenizer_model").Add("toy", forms.model_proto);

  nlohmann::ordered_json json;
  for (const auto& token : forms.hf.added) {
    json["added_tokens"].push_back({{"id", token.id},
                                    {"content", token.content},
                                    {"special", token.special}});
  }
  json["normalizer"] = {{"type", "Replace"},
                        {"pattern", {{"String", " "}}},
                        {"content", "\u2581"}};
  json["pre_tokenizer"] = nullptr;
  nlohmann::ordered_json& model = json["model"];
  model = {{"type", "BPE"}, {"unk_token", "<unk>"}, {"byte_fallback", true}};
  for (const auto& [piece, id] : forms.hf.vocab) model["vocab"][piece] = id;
  for (const auto& [left, right] : forms.hf.merges) {
    model["merges"].push_back({left, right});
  }
  const Corpus corpus(folder, "tokenizer_json");
  corpus.Add("toy", json.dump());
  corpus.Add("config",
             Files()
                 .Add("tokenizer.json", json.dump())
                 .Add("tokenizer_config.json",
                      R"({"bos_token": {"content": "<bos>"},)"
                      R"( "added_tokens_decoder": {"6": {"content": "<a>"}}})")
                 .input());
}

void WriteNpz(const std::string& folder) {
  const Corpus corpus(folder, "npz");
  for (const bool affine : {false, true}) {
    const FileArrays arrays = RandomArrays(5, 18, affine ? 4 : 5, 1, affine);
    const std::string name = affine ? "affine" : "plain";
    corpus.Add(name, NpzOf(arrays));
    Files files;
    for (const auto& [key, array] : arrays) {
      const std::string shape =
          array.shape.size() == 1
              ? absl::StrCat("(", array.shape[0], ",)")
              : absl::StrCat("(", array.shape[0], ", ", array.shape[1], ")");
      files.Add(key + ".npy",
                Npy(NpyDictionary("<f4", shape), BytesOf(array.values)));
    }
    corpus.Add(name + "_arrays", files.input());
  }
}

void WriteSessions(const std::string& folder) {
  const Corpus corpus(folder, "session");
  InputFolder files;
  const std::string saved = files.Path("s.session");
  char number = 0;
  const auto add = [&](const char* name, const Bytes& model) {
    const std::string path = files.Path("m.gguf");
    files.Write("m.gguf", TextOf(model));
    Session session = NewSession(
        LoadOrDie(path, {.num_threads = 1, .prefill_chunk = 4}),
        {.max_tokens = 16, .max_rollback = 2, .checkpoint_interval = 4});
    Words words(std::vector<TokenId>{1, 2, 3});
    const absl::StatusOr<InputRows> rows =
        InputRows::Create(std::vector<float>(16, 0.25f), 8);
    words.Append(*rows);
    if (!session.Append(words).ok() || !session.Save(saved).ok()) std::exit(1);
    std::string input = ReadText(saved);
    input.resize(input.size() - 4);  // the checksum
    corpus.Add(name, number + input);
    ++number;
  };
  for (const char* architecture : kArchitectures) {
    add(architecture, TinyGgufModel(architecture));
  }
  for (const char* form : kGemma4Generators) add(form, Gemma4GgufModel(form));
}

void WriteGrammars(const std::string& folder) {
  const Corpus schemas(folder, "json_schema");
  size_t number = 0;
  for (const auto& test : SchemaCases()) {
    schemas.Add(absl::StrCat(number++), test["schema"].dump());
  }
  const Corpus regexes(folder, "regex");
  const std::string_view expressions[] = {
      "(yes|no)?",
      R"([a-z_]\w{2,5}(-\d+)*)",
      R"([^"\\\x00-\x1f]{1,20}\.)",
      R"(\u{1F600}|\u00e9[à-ÿ]+?)",
      R"(^\d{3}-?\d{4}$)",
      R"((a|b(c|d){2})*\s\S)",
      R"((?:https?://)[^\s/]+(/.*)?)",
      "((a{0,9}){0,9}){0,9}",
      "[^a",
  };
  number = 0;
  for (const std::string_view expression : expressions) {
    regexes.Add(absl::StrCat(number++), expression);
  }
}

void WriteTemplates(const std::string& folder) {
  const Corpus corpus(folder, "chat_template");
  for (const auto& entry : std::filesystem::directory_iterator(
           GEMMA_TESTDATA_DIR "/jinja/templates")) {
    corpus.Add(entry.path().filename().string(), ReadText(entry.path()));
  }
}

void WriteAnswers(const std::string& folder) {
  const Corpus corpus(folder, "answer");
  const std::string_view answers[] = {
      "Hello.",
      "<|channel>thought\nWell,\nso.\n<channel|>Hello.\n",
      "<|channel>thought<channel|>x<|channel>plan\ny<channel|>",
      "I see. <|tool_call>call:get{b:<|\"|>a \"b\"\n{}:,\\<|\"|>,a:[1,-2.5e3,"
      "{x:true}],n:null,e:{},l:[]}<tool_call|><|tool_call>call:now{}"
      "<tool_call|><|tool_response>",
      "<|tool_call>call:f{<|\"|>a b<|\"|>:12345678901234567890}<tool_call|>",
      "<|tool_call>call:f{a:1,a:2}<tool_call|>",
      "{\"name\": \"f\", \"parameters\": {\"a\": [1, \"\\\"}\\u00e9\"]}}\n"
      "{\"name\":\"g\",\"parameters\":{}}",
      "Well.\n```tool_code\n{\"name\":\"g\",\"parameters\":{}}\n```",
      "<start_function_call>call:sum{x:<escape>caf\u00e9<escape>,y:[0.5]}"
      "<end_function_call><start_function_response>",
      "<start_function_call>call:f{<start_function_call>call:g{}"
      "<end_function_call>",
  };
  size_t number = 0;
  for (const std::string_view answer : answers) {
    corpus.Add(absl::StrCat(number++), answer);
  }
}

void WriteServe(const std::string& folder) {
  const Corpus corpus(folder, "serve");
  const std::string_view requests[] = {
      "/v1/models",
      R"(/v1/chat/completions
{"model":"b","messages":[{"role":"system","content":"s"},{"role":"user",
"content":[{"type":"text","text":"the"}]},{"role":"assistant","content":null,
"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"a\":1}"}}]},
{"role":"tool","tool_call_id":"1","content":"2"}],"max_tokens":3,"stream":true,
"stream_options":{"include_usage":true},"think":true,"logprobs":true})",
      R"(/v1/chat/completions
{"model":"a","messages":[{"role":"user","content":"the"},{"role":"developer",
"content":"d"},{"role":"assistant","content":"us"}],"max_tokens":2,"n":2,
"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":
{"type":"object"}}},"stop":["a"],"seed":-1,"logit_bias":{"5":-100}})",
      R"(/v1/completions
{"model":"a","prompt":["the",[2,300]],"max_tokens":0,"echo":true,"logprobs":1})",
      R"(/v1/completions
{"model":"d","prompt":"the ","suffix":" us","max_tokens":2,"regex":"a*"})",
      R"(/v1/embeddings
{"model":"c","input":["the",""],"encoding_format":"base64","dimensions":4})",
      R"(/v1/score
{"model":"a","prompt":"the","choices":[" us"," model"]})",
      R"(/infill
{"model":"d","input_prefix":"a","input_suffix":"b","n_predict":1,
"input_extra":[{"filename":"f","text":"t"}]})",
      R"(/tokenize
{"model":"a","prompt":"the","return_token_strs":true})",
      "/detokenize\n{\"model\":\"a\",\"tokens\":[300]}",
      R"(/v1/chat/completions
{"messages":[{"role":"user","content":[{"type":"image_url"}]}]})",
      R"(/v1/chat/completions
{"model":"b","messages":[{"role":"user","content":"the"}],"max_tokens":20,
"tools":[{"type":"function","function":{"name":"g"}}],"tool_choice":"required",
"parallel_tool_calls":false,"stream":true,"n":2})",
      R"(/v1/chat/completions
{"model":"b","messages":[{"role":"user","content":"the"}],"max_tokens":20,
"tools":[{"type":"function","function":{"name":"f","description":"d",
"parameters":{"type":"object","properties":{"a":{"enum":["x",1,null]},"b":{
"type":"array","items":{"type":"string","maxLength":2},"maxItems":2}},
"required":["a"]}}}],"tool_choice":{"type":"function","function":{"name":"f"}}})",
      R"(/v1/chat/completions
{"model":"a","messages":[{"role":"user","content":"the"},{"role":"assistant",
"tool_calls":[{"id":"1","function":{"name":"g","arguments":"{}"}}]},{"role":
"tool","tool_call_id":"1","content":"r"}],"max_tokens":20,"tools":[{"type":
"function","function":{"name":"g"}}],"tool_choice":{"type":"function",
"function":{"name":"g"}},"stop":["x"]})",
      R"(/v1/features
{"model":"a","input":"the us","autoencoders":["s"],"top_k":2,"features":[1,5],
"steer":[{"feature":3,"strength":4.5}]})",
      R"(/v1/completions
{"model":"a","prompt":"the","max_tokens":2,"steer":[{"autoencoder":"s",
"feature":3,"ablate":true},{"feature":1,"strength":-9}]})",
  };
  size_t number = 0;
  for (const std::string_view request : requests) {
    corpus.Add(absl::StrCat(number++), request);
  }
}

void WriteHttp(const std::string& folder) {
  const Corpus corpus(folder, "http");
  // The first byte is that of FuzzHttp.
  const std::string_view inputs[] = {
      "0GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "7HEAD /v1/models HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"
      "GET /no HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
      "\xC1POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Type: application/json\r\nContent-Length: 54\r\n\r\n"
      R"({"prompt":"the","max_tokens":2,"stream":true,"seed":1})"
      "\r\nGET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "\xD0POST /tokenize HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
      "Expect: 100-continue\r\n\r\n"
      "9;a=b\r\n{\"prompt\"\r\n7\r\n:\"the\"}\r\n0\r\nX: y\r\n\r\n",
      "3OPTIONS * HTTP/1.1\r\nHost: localhost\r\n"
      "Origin: https://page.example\r\n"
      "Access-Control-Request-Method: POST\r\n\r\n"
      "GET http://localhost/metrics HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      "0POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "1GET / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 9\r\n\r\nab",
      "0PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  };
  size_t number = 0;
  for (const std::string_view input : inputs) {
    corpus.Add(absl::StrCat(number++), input);
  }
}

void WriteAdapters(const std::string& folder) {
  const Corpus corpus(folder, "adapter");
  // Rank 2, for matrices of 8 rows and columns, or 2 rows.
  const auto peft = [&](const char* base,
                        const std::vector<std::string>& modules) {
    SafetensorsWriter weights;
    for (const std::string& module : modules) {
      const std::string name =
          absl::StrCat("base_model.model.model.layers.1.", module, ".lora_");
      const bool narrow = module == "per_layer_input_gate";
      const TinyTensor a = MakeTensor("a", {2, 8});
      const TinyTensor b = MakeTensor("b", {narrow ? 2u : 8u, 2});
      weights.Tensor(name + "A.weight", "F32", a.shape, a.bytes());
      weights.Tensor(name + "B.weight", "F32", b.shape, b.bytes());
    }
    nlohmann::json config = {{"peft_type", "LORA"},
                             {"r", 2},
                             {"lora_alpha", 4},
                             {"base_model_name_or_path", base},
                             {"rank_pattern", {{".*q_proj", 2}}}};
    for (const std::string& module : modules) {
      config["target_modules"].push_back(module.substr(module.rfind('.') + 1));
    }
    return Files()
        .Add("adapter_config.json", config.dump())
        .Add("adapter_model.safetensors", TextOf(weights.Finish()))
        .input();
  };
  corpus.Add("peft", peft("gemma3", {"self_attn.q_proj", "self_attn.o_proj"}));
  corpus.Add("peft_gemma4",
             peft("gemma4", {"self_attn.q_proj", "per_layer_input_gate"}));
  corpus.Add("peft_gemma4_moe",
             peft("gemma4_moe", {"self_attn.q_proj", "self_attn.o_proj"}));
  for (const std::string architecture : {"gemma3", "gemma4"}) {
    const TinyTensor a = MakeTensor("a", {2, 8});
    const TinyTensor b = MakeTensor("b", {8, 2});
    GgufWriter gguf;
    gguf.String("general.architecture", architecture)
        .String("general.type", "adapter")
        .String("adapter.type", "lora")
        .Float32("adapter.lora.alpha", 4.0f)
        .Tensor("blk.0.attn_q.weight.lora_a", {8, 2}, 0, a.bytes())
        .Tensor("blk.0.attn_q.weight.lora_b", {2, 8}, 0, b.bytes());
    corpus.Add("gguf_" + architecture, gguf.Finish());
  }
}

}  // namespace

void WriteOtherSeeds(const std::string& folder) {
  WriteTokenizers(folder);
  WriteNpz(folder);
  WriteSessions(folder);
  WriteGrammars(folder);
  WriteTemplates(folder);
  WriteAnswers(folder);
  WriteServe(folder);
  WriteHttp(folder);
  WriteAdapters(folder);
}

}  // namespace gemma::internal
