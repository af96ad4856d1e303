// Taps: functions of Python that see and change activations, and changes of
// features.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_TAP_H_
#define GEMMA_TOOLS_PYTHON_BINDING_TAP_H_

#include <nanobind/nanobind.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gemma/gemma.h"

namespace gemma::python {

// A place in the model: a point, in one layer or, without a value, in each that
// has the point.
struct Site {
  TapPoint point = TapPoint::kBlockOutput;
  std::optional<size_t> layer;
};

// Returns the point's name in Python: "block_output".
const char* PointName(TapPoint point);

// Returns the site of "POINT", "POINT@LAYER", one of the texts of
// ParseFeatureSite, or "blocks.LAYER.hook_NAME", where NAME is "resid_pre",
// "resid_mid", "resid_post", "attn_out" or "mlp_out". InvalidArgument if the
// text has another form, or if the model does not compute the site.
absl::StatusOr<Site> ParseSite(const ModelConfig& config,
                               const std::string& text);

// A change of a feature, as FeatureChange, with the autoencoder itself.
struct Steer {
  SparseAutoencoder autoencoder;
  size_t feature = 0;
  float strength = 0;
  bool ablate = false;
};

// Returns the change; it refers to the autoencoder of `steer`.
FeatureChange ChangeOf(const Steer& steer);

// The exception of a Python function, so that the caller of the model can raise
// it again.
struct TapError {
  std::exception_ptr raised;
};

// A tap for one session or one request.
struct ActiveTap {
  TapFunction function;
  std::shared_ptr<TapError> error;
};

// Throws what the function of a tap raised, and forgets it; returns if it
// raised nothing or `error` is null. Needs the GIL.
void ThrowTapError(const std::shared_ptr<TapError>& error);

// The taps that a session or a request is to have. Immutable.
class Tap {
 public:
  // `before`, which may be null, comes first at each site, then the changes of
  // `steer`, then `function`, which may be None. It is called as
  // function(site, activations) at the sites; at all if `sites` has no value.
  // Throws the exception of a wrong argument.
  Tap(std::shared_ptr<Model> model, nanobind::object function,
      const std::optional<std::vector<std::string>>& sites,
      const std::vector<Steer>& steer, const Tap* before);

  // Returns a function for Session::SetTap or Request::tap of `model`, which
  // takes the GIL where it calls Python. Throws InvalidArgument if the tap was
  // made for a different model.
  ActiveTap Activate(const Model& model) const;

 private:
  // Returns what comes at a site, in order; errors go to `error`.
  std::vector<TapFunction> Parts(const std::shared_ptr<TapError>& error) const;

  std::shared_ptr<Model> model_;
  std::shared_ptr<nanobind::object> function_;
  std::optional<std::vector<Site>> sites_;
  std::vector<Steer> steer_;
  std::shared_ptr<const Tap> before_;
};

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_TAP_H_
