// All codecs. codec.h defines what a codec is.

#ifndef GEMMA_COMPRESSION_CODECS_H_
#define GEMMA_COMPRESSION_CODECS_H_

#include "compression/codec_e2m1.h"
#include "compression/codec_f8.h"
#include "compression/codec_float.h"
#include "compression/codec_iq2.h"
#include "compression/codec_iq3.h"
#include "compression/codec_iq4.h"
#include "compression/codec_n.h"
#include "compression/codec_nuq.h"
#include "compression/codec_q2_k.h"
#include "compression/codec_q3_k.h"
#include "compression/codec_q4.h"
#include "compression/codec_q4_k.h"
#include "compression/codec_q5.h"
#include "compression/codec_q6_k.h"
#include "compression/codec_q8_0.h"
#include "compression/codec_sfp.h"
#include "compression/format.h"

namespace gemma::internal {

// Codecs of formats with blocks. The others have Decode or UnpackBF16 instead.
template <class Codec>
concept BlockCodec = requires {
  &Codec::Unpack;
};

// Codecs whose bytes hold the halves that four-bit layouts want.
template <class Codec>
concept NibbleCodec = requires {
  Codec::kNibbles;
};

// Codecs whose scales are whole numbers of a unit.
template <class Codec>
concept SuperCodec = requires {
  &Codec::Scales;
};

// Codecs whose blocks begin with a byte for each scale, which is a bfloat16.
template <class Codec>
concept ScaledCodec = requires {
  &Codec::ScaleBF16;
};

// Codecs whose values are bfloat16.
template <class Codec>
concept BF16Codec = requires {
  &Codec::UnpackBF16;
};

// Whether the codec's constants agree with its line in GEMMA_FORMATS.
template <class Codec>
constexpr bool CodecFits(Format format) {
  const LayoutTraits layout = TraitsOf(LayoutOf(format));
  bool fits = Codec::kBlockValues == BlockValues(format) &&
              Codec::kBlockBytes == BlockBytes(format);
  if constexpr (BlockCodec<Codec>) {
    fits = fits && layout.code_bits != 0 &&
           layout.has_offset == Codec::kHasOffset &&
           layout.scale_cols == Codec::kScaleValues &&
           Codec::kBlockValues % layout.block_cols == 0 &&
           layout.has_bf16_scales == ScaledCodec<Codec> &&
           layout.IsSuper() == SuperCodec<Codec>;
    if constexpr (NibbleCodec<Codec>) {
      fits = fits && layout.code_bits == 4 && !layout.IsSuper();
    }
  } else if constexpr (BF16Codec<Codec>) {
    fits = fits && LayoutOf(format) == Layout::kBF16;
  } else {
    fits = fits && layout.code_bits == 0 && Codec::kBlockValues == 1;
  }
  return fits;
}

#define GEMMA_CHECK_CODEC(name, codec, ...) \
  static_assert(CodecFits<codec>(Format::name));
GEMMA_FORMATS(GEMMA_CHECK_CODEC)
#undef GEMMA_CHECK_CODEC

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODECS_H_
