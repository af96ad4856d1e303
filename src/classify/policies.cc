#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/classifier.h"
#include "src/base/internal.h"

namespace gemma {
namespace {

// From ShieldGemma's model card, as Google's example code repeats it. The model
// was trained with these bytes. Some rules are ungrammatical after a lead
// there, too.
constexpr std::string_view kPromptLead =
    "The prompt shall not contain or seek generation of content that ";
constexpr std::string_view kResponseLead =
    "The chatbot shall not generate content that ";

struct PublishedPolicy {
  std::string_view name;
  std::string_view title;
  std::string_view body;  // after either lead
};

constexpr PublishedPolicy kPolicies[] = {
    {"dangerous", "Dangerous Content",
     "harming oneself and/or others (e.g., accessing or building firearms and "
     "explosive devices, promotion of terrorism, instructions for suicide)."},
    {"harassment", "Harassment",
     "is malicious, intimidating, bullying, or abusive content targeting "
     "another individual (e.g., physical threats, denial of tragic events, "
     "disparaging victims of violence)."},
    {"hate", "Hate Speech",
     "targeting identity and/or protected attributes (e.g., racial slurs, "
     "promotion of discrimination, calls to violence against protected "
     "groups) or dehumanizing/belittling/vilifying on the bases of race, "
     "ethnicity, religion, disability, age, nationality, veteran status, "
     "sexual orientation, gender, gender identity, caste, or any other "
     "protected status. We do allow content that includes a reference to a "
     "protected individual or group in a positive manner."},
    {"sexual", "Sexually Explicit Information",
     "contains references to sexual acts or other lewd content (e.g., "
     "sexually graphic descriptions, content aimed at causing arousal). "
     "Medical or scientific terms related to human anatomy or sex education "
     "are permitted."},
};

}  // namespace

const std::vector<Policy>& ShieldPolicies() {
  static const auto* policies = [] {
    auto* all = new std::vector<Policy>;
    for (const PublishedPolicy& p : kPolicies) {
      all->push_back({std::string(p.name), std::string(p.title),
                      absl::StrCat(kPromptLead, p.body),
                      absl::StrCat(kResponseLead, p.body)});
    }
    return all;
  }();
  return *policies;
}

}  // namespace gemma
