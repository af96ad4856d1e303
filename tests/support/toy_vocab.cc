#include "tests/support/toy_vocab.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <unordered_map>
#include <utility>

#include "tests/support/model_proto.h"

namespace gemma::internal {
namespace {

constexpr int32_t kGgufNormal = 1;
constexpr int32_t kGgufControl = 3;
constexpr int32_t kGgufUserDefined = 4;
constexpr int32_t kGgufByte = 6;

// The words that BPE is trained on. A "~" means a blank before the word; other
// words have none.
constexpr std::string_view kCorpus =
    "the capital of germany is berlin and the capital of france is paris "
    "hello world hello there user model user model the user asks the model "
    "answers I don't know what the other one thinks of the weather in the "
    "north while the rain is raining on the plain of spain and in the other "
    "mountains Hello Hi The What if x is one then the sum is two and for each "
    "turn of start and end there is a start and an end of turn bos eos pad "
    "unused mask unk user user model model \u00E9t\u00E9 \u00E9tude na\u00EFve "
    "\u65E5\u672C\u8A9E \u65E5\u672C \u65E5\u672C \u8A9E caf\u00E9 caf\u00E9 "
    "~the ~the ~the "
    "~user ~user ~user ~model ~model ~model ~Hello ~Hello ~Hello";

std::vector<std::string> Characters(std::string_view text) {
  std::vector<std::string> characters;
  for (char c : text) {
    if ((c & 0xC0) != 0x80) characters.emplace_back();
    characters.back().push_back(c);
  }
  return characters;
}

std::string Repeat(std::string_view unit, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += unit;
  return text;
}

std::string ByteName(int byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte / 16], kDigits[byte % 16], '>'};
}

// Trains BPE and returns the pieces of `num_merges` merges, in order.
std::vector<std::string> TrainMerges(std::string_view corpus,
                                     size_t num_merges) {
  std::vector<std::vector<std::string>> words;
  for (size_t begin = 0; begin < corpus.size();) {
    const size_t end = std::min(corpus.find(' ', begin), corpus.size());
    std::string word(corpus.substr(begin, end - begin));
    word = word[0] == '~' ? word.substr(1) : std::string(kBlank) + word;
    words.push_back(Characters(word));
    begin = end + 1;
  }
  std::vector<std::string> pieces;
  while (pieces.size() < num_merges) {
    std::map<std::pair<std::string, std::string>, int> counts;
    for (const auto& word : words) {
      for (size_t i = 1; i < word.size(); ++i) ++counts[{word[i - 1], word[i]}];
    }
    const auto best = std::max_element(
        counts.begin(), counts.end(),
        [](const auto& a, const auto& b) { return a.second < b.second; });
    const auto [left, right] = best->first;
    if (std::find(pieces.begin(), pieces.end(), left + right) == pieces.end()) {
      pieces.push_back(left + right);
    }
    for (auto& word : words) {
      for (size_t i = 1; i < word.size(); ++i) {
        if (word[i - 1] != left || word[i] != right) continue;
        word[i - 1] += right;
        word.erase(word.begin() + i);
      }
    }
  }
  return pieces;
}

std::string WithMarkedBlanks(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == ' ') {
      out += kBlank;
    } else {
      out.push_back(c);
    }
  }
  return out;
}

// Returns the vocabulary as sentencepiece's trainer writes it.
std::string ModelProtoOf(const VocabularyForms& forms) {
  Vocabulary vocabulary;
  const std::set<std::string_view> control = {"<pad>", "<eos>", "<bos>"};
  for (size_t i = 0; i < forms.tokens.size(); ++i) {
    Vocabulary::Piece piece;
    piece.text = WithMarkedBlanks(forms.tokens[i]);
    piece.type = static_cast<PieceType>(forms.types[i]);
    if (piece.text == "<unk>") {
      piece.type = PieceType::kUnknown;
      vocabulary.unk = static_cast<TokenId>(i);
    } else if (piece.type == PieceType::kControl &&
               !control.contains(piece.text)) {
      piece.type = PieceType::kUserDefined;
    }
    if (piece.type == PieceType::kNormal) piece.score = forms.scores[i];
    if (piece.text == "<bos>") vocabulary.bos = static_cast<TokenId>(i);
    if (piece.text == "<eos>") vocabulary.eos = static_cast<TokenId>(i);
    if (piece.text == "<pad>") vocabulary.pad = static_cast<TokenId>(i);
    vocabulary.pieces.push_back(std::move(piece));
  }
  return SerializeModelProto(vocabulary);
}

// Returns the vocabulary as transformers' converter writes it.
HfTokenizerData HfOf(const VocabularyForms& forms) {
  HfTokenizerData hf;
  std::unordered_map<std::string, int64_t> ids;
  for (size_t i = 0; i < forms.tokens.size(); ++i) {
    const auto id = static_cast<int64_t>(i);
    std::string text = WithMarkedBlanks(forms.tokens[i]);
    if (text == "<0x09>") text = "\t";
    ids[text] = id;  // a later tab replaces it
    if (forms.types[i] == kGgufUserDefined) {
      hf.added.push_back({.content = text, .id = id, .special = false});
    } else if (forms.types[i] == kGgufControl) {
      const bool special = text.substr(0, 7) != "<unused";
      hf.added.push_back({.content = text, .id = id, .special = special});
    }
  }
  hf.vocab.assign(ids.begin(), ids.end());

  // All ways to split a piece in two, those with the best scores first.
  struct Merge {
    float score;
    int64_t left, right;
    std::string left_text, right_text;
  };
  std::vector<Merge> merges;
  for (const auto& [text, id] : ids) {
    const int32_t type = forms.types[id];
    if (type != kGgufNormal && type != kGgufUserDefined) continue;
    const float score = type == kGgufNormal ? forms.scores[id] : 1.0f;
    for (size_t i = 1; i < text.size(); ++i) {
      const auto left = ids.find(text.substr(0, i));
      if (left == ids.end()) continue;
      const auto right = ids.find(text.substr(i));
      if (right == ids.end()) continue;
      merges.push_back(
          {score, left->second, right->second, left->first, right->first});
    }
  }
  std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tie(b.score, a.left, a.right) <
           std::tie(a.score, b.left, b.right);
  });
  for (Merge& merge : merges) {
    hf.merges.emplace_back(std::move(merge.left_text),
                           std::move(merge.right_text));
  }
  return hf;
}

}  // namespace

GgufTokenizerData VocabularyForms::gguf() const {
  return {.model = "llama",
          .tokens = tokens,
          .scores = scores,
          .types = types,
          .bos = 2,
          .eos = 1,
          .unk = 3,
          .pad = 0,
          .add_space_prefix = false};
}

VocabularyForms FormsOfGguf(std::vector<std::string_view> tokens,
                            std::vector<float> scores,
                            std::vector<int32_t> types) {
  VocabularyForms forms;
  forms.tokens = std::move(tokens);
  forms.scores = std::move(scores);
  forms.types = std::move(types);
  forms.model_proto = ModelProtoOf(forms);
  forms.hf = HfOf(forms);
  return forms;
}

VocabularyForms ToyVocabulary() {
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
  const auto add = [&](std::string text, int32_t type, float score) {
    tokens.push_back(std::move(text));
    types.push_back(type);
    scores.push_back(score);
  };
  for (std::string_view name :
       {"<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[multimodal]",
        "<unused0>", "<unused1>", "<|fim_prefix|>", "<|fim_middle|>",
        "<|fim_suffix|>", "<|file_separator|>", "<start_of_turn>",
        "<end_of_turn>"}) {
    add(std::string(name), kGgufControl, -1000.0f);
  }
  const auto add_runs = [&](std::string_view unit, size_t from, size_t to) {
    for (size_t n = from; n <= to; ++n) {
      add(Repeat(unit, n), kGgufUserDefined, -1000.0f);
    }
  };
  add_runs("\n", 1, 6);
  add_runs(" ", 2, 9);
  for (std::string_view tag :
       {"<table>", "</table>", "<h1>", "</h1>", "<h2>", "<code>"}) {
    add(std::string(tag), kGgufUserDefined, -1000.0f);
  }
  for (int byte = 0; byte < 256; ++byte) {
    add(ByteName(byte), kGgufByte, -1000.0f);
  }

  float score = 0.0f;
  for (std::string& piece : TrainMerges(kCorpus, 110)) {
    add(std::move(piece), kGgufNormal, score);
    score -= 1.0f;
  }
  std::set<std::string> characters = {std::string(kBlank)};
  for (std::string& c : Characters(kCorpus)) characters.insert(std::move(c));
  for (char c : std::string_view("0123456789<>|_/[]@.,:='")) {
    characters.insert(std::string(1, c));
  }
  characters.erase(" ");
  characters.erase("~");
  for (const std::string& c : characters) {
    add(c, kGgufNormal, score);
    score -= 1.0f;
  }
  add_runs("\t", 1, 4);
  for (std::string_view name : {"<start_of_image>", "<end_of_image>",
                                "<unused2>", "<image_soft_token>"}) {
    add(std::string(name), kGgufControl, -1000.0f);
  }

  VocabularyForms forms;
  forms.token_storage = std::move(tokens);
  forms.tokens.assign(forms.token_storage.begin(), forms.token_storage.end());
  forms.scores = std::move(scores);
  forms.types = std::move(types);
  forms.model_proto = ModelProtoOf(forms);
  forms.hf = HfOf(forms);
  return forms;
}

std::string FuzzedText(uint64_t seed, size_t max_parts,
                       const std::vector<std::string_view>& words) {
  std::mt19937_64 random(seed);
  const auto pick = [&](size_t n) { return static_cast<size_t>(random() % n); };
  static constexpr std::string_view kParts[] = {
      "the",
      " the",
      "user",
      "model",
      " Hello",
      "\u2581",
      "\u2581\u2581",
      "\u2581 ",
      " \u2581the",
      "<start_of_turn>",
      "<end_of_turn>",
      "<start_of_",
      "turn>",
      "<bos>",
      "<eos>",
      "<unk>",
      "<pad>",
      "<mask>",
      "<unused0>",
      "<unused",
      "<|fim_prefix|>",
      "<|",
      "|>",
      "<h1>",
      "</h1>",
      "<h1",
      "<table>",
      "<start_of_image>",
      "<image_soft_token>",
      "[multimodal]",
      "<0x0A>",
      "<0x",
      "12345",
      "3.14",
      "don't",
      "\u00E9",
      "e\u0301",
      "\u65E5\u672C\u8A9E",
      "\U00013000",
      "\U0001F600",
      "\u00A0",
      "\u3000",
      "\r\n",
      "\uFFFD",
      "\xFF",
      "\xC0\x80",
      "\xED\xA0\x80",
      "\xF4\x90\x80\x80",
      "\xE2\x96",
      "\xF0\x9F\x98",
      "\x80",
      std::string_view("\0", 1),
      std::string_view("a\0b", 3),
  };
  std::string text;
  const size_t num_parts = pick(max_parts + 1);
  for (size_t i = 0; i < num_parts; ++i) {
    switch (pick(words.empty() ? 8 : 10)) {
      case 0:
        text += Repeat(" ", 1 + pick(12));
        break;
      case 1:
        text += Repeat("\n", 1 + pick(9));
        break;
      case 2:
        text += Repeat("\t", 1 + pick(6));
        break;
      case 3:
        text.push_back(static_cast<char>(random()));  // any byte
        break;
      case 4:
        text.push_back(static_cast<char>('a' + pick(26)));
        break;
      case 8:
      case 9:
        text += words[pick(words.size())];
        break;
      default:
        text += kParts[pick(std::size(kParts))];
        break;
    }
  }
  return text;
}

}  // namespace gemma::internal
