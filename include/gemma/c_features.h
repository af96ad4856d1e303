/* Sparse autoencoders of Gemma Scope, for C: features of activations, and
 * steering by them. See gemma/sparse_autoencoder.h and gemma/feature_tap.h. */

#ifndef GEMMA_C_FEATURES_H_
#define GEMMA_C_FEATURES_H_

#include "gemma/c_taps.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Autoencoders */

/* A loaded autoencoder. Any number of threads may use it at the same time. */
typedef struct gemma_autoencoder gemma_autoencoder;

/* An active feature. This struct never grows. */
typedef struct gemma_feature {
  size_t index; /* among the autoencoder's features */
  float value;  /* positive */
} gemma_feature;

/* The points that an autoencoder reads and reconstructs. This struct never
 * grows. */
typedef struct gemma_feature_site {
  gemma_tap_point input;  /* encoded */
  gemma_tap_point output; /* reconstructed */
  size_t layer;           /* of both, from 0 */
  bool normalize;         /* the input is first divided by its root mean
                           * square */
} gemma_feature_site;

/* Writes the site of a text such as "res@12"; see FeatureSiteText in
 * gemma/sparse_autoencoder.h. GEMMA_INVALID_ARGUMENT for other texts. */
GEMMA_EXPORT gemma_status gemma_feature_site_parse(const char* text,
                                                   gemma_feature_site* site);
/* Writes the text of a site, without a terminating 0; see gemma/c_tokens.h for
 * capacity and size. */
GEMMA_EXPORT gemma_status gemma_feature_site_text(
    const gemma_feature_site* site, char* text, size_t capacity, size_t* size);

/* The format of an autoencoder's weights in memory. */
typedef enum gemma_feature_weights {
  GEMMA_FEATURES_FLOAT32 = 0, /* as in the files */
  GEMMA_FEATURES_BFLOAT16 = 1,
  GEMMA_FEATURES_INT8 = 2
} gemma_feature_weights;

/* How to load an autoencoder. */
typedef struct gemma_autoencoder_options {
  size_t struct_size;             /* set by gemma_autoencoder_options_init */
  gemma_feature_weights weights;  /* in memory */
  size_t num_threads;             /* that pack weights; 0: one per core */
  const gemma_feature_site* site; /* null: as the files say */
} gemma_autoencoder_options;

/* Sets the defaults. size: sizeof(gemma_autoencoder_options). */
GEMMA_EXPORT void gemma_autoencoder_options_init(
    gemma_autoencoder_options* options, size_t size);

/* Loads params.npz, or params.safetensors with config.json, or a folder that
 * holds one of them. Free *autoencoder with gemma_autoencoder_free. options:
 * null for the defaults. GEMMA_FAILED_PRECONDITION if neither the options nor
 * the files say where it is attached. */
GEMMA_EXPORT gemma_status gemma_autoencoder_load(
    const char* path, const gemma_autoencoder_options* options,
    gemma_autoencoder** autoencoder);
/* Gives the autoencoder up: taps that use it keep it. Null is allowed. */
GEMMA_EXPORT void gemma_autoencoder_free(gemma_autoencoder* autoencoder);

/* What an autoencoder is. */
typedef struct gemma_autoencoder_info {
  size_t struct_size;      /* set by gemma_autoencoder_info_init */
  size_t input_dim;        /* columns of its input */
  size_t output_dim;       /* columns of its reconstruction */
  size_t num_features;     /* how many it has */
  uint64_t memory_bytes;   /* of its weights */
  gemma_feature_site site; /* where it is attached */
  bool has_affine_skip;    /* the reconstruction depends on the input, too */
} gemma_autoencoder_info;

/* Sets struct_size, and all other fields to 0. size:
 * sizeof(gemma_autoencoder_info). */
GEMMA_EXPORT void gemma_autoencoder_info_init(gemma_autoencoder_info* info,
                                              size_t size);
/* Describes an autoencoder. */
GEMMA_EXPORT gemma_status gemma_autoencoder_get_info(
    const gemma_autoencoder* autoencoder, gemma_autoencoder_info* info);
/* Returns GEMMA_OK if the model has the autoencoder's layer, with activations
 * of its width, or GEMMA_INVALID_ARGUMENT. */
GEMMA_EXPORT gemma_status gemma_autoencoder_check_fits(
    const gemma_autoencoder* autoencoder, const gemma_model* model);

/* Writes the active features of each row of x, [num_rows, input_dim], one row
 * after the other: by ascending index (top_k is 0), or the top_k strongest of
 * each row. row_sizes: [num_rows], receives the number of each row's features.
 * *size becomes the number of all. If it exceeds `capacity`, writes nothing
 * else and returns GEMMA_OUT_OF_RANGE. */
GEMMA_EXPORT gemma_status
gemma_autoencoder_encode(const gemma_autoencoder* autoencoder, const float* x,
                         size_t num_rows, size_t top_k, gemma_feature* features,
                         size_t capacity, size_t* size, size_t* row_sizes);
/* Writes the reconstruction of one row from its features to `out`,
 * [output_dim]. x: the encoded row, [input_dim], for the affine skip
 * connection, or null to leave that out. */
GEMMA_EXPORT gemma_status gemma_autoencoder_decode(
    const gemma_autoencoder* autoencoder, const gemma_feature* features,
    size_t num_features, const float* x, float* out);
/* Writes what one unit of a feature adds to the reconstruction to `out`,
 * [output_dim]. */
GEMMA_EXPORT gemma_status gemma_autoencoder_direction(
    const gemma_autoencoder* autoencoder, size_t feature, float* out);

/* ---- Features of sessions and requests */

/* Reports or changes features while a session or a request computes. */
typedef struct gemma_feature_tap gemma_feature_tap;

/* An autoencoder, and which of its features to report. This struct never
 * grows. */
typedef struct gemma_feature_reader {
  const gemma_autoencoder* autoencoder; /* the tap keeps a copy */
  size_t top_k; /* report the strongest, in descending order; 0: all */
  const size_t* features; /* report only these; null: any */
  size_t num_features;    /* size of features */
} gemma_feature_reader;

/* A change of one feature, at every position except the first of a sequence.
 * This struct never grows. */
typedef struct gemma_feature_change {
  const gemma_autoencoder* autoencoder; /* the tap keeps a copy */
  size_t feature;                       /* its index */
  float strength; /* this multiple of its direction is added */
  bool ablate;    /* subtract first what the feature contributes */
} gemma_feature_change;

/* The active features of one token at one site. */
typedef struct gemma_token_features {
  size_t struct_size;            /* of the library that calls */
  size_t reader;                 /* index into the readers */
  size_t position;               /* of the token in its sequence */
  const gemma_feature* features; /* valid during the call */
  size_t num_features;           /* size of features */
} gemma_token_features;

/* The readers and changes of a tap; see FeatureTapOptions. */
typedef struct gemma_feature_tap_options {
  size_t struct_size; /* set by gemma_feature_tap_options_init */
  const gemma_feature_reader* readers; /* any number, several at a site, too */
  size_t num_readers;                  /* size of readers */
  const gemma_feature_change* changes; /* likewise */
  size_t num_changes;                  /* size of changes */
  /* Receives what the readers find, on the thread that computes. May be
   * null. */
  void (*on_features)(const gemma_token_features* features, void* user);
  /* Passed to on_features. Both stay valid as long as a tap, session or request
   * uses them. */
  void* user;
} gemma_feature_tap_options;

/* Sets the defaults. size: sizeof(gemma_feature_tap_options). */
GEMMA_EXPORT void gemma_feature_tap_options_init(
    gemma_feature_tap_options* options, size_t size);

/* Creates a tap for sessions and requests of the model. It shares the model and
 * the autoencoders. Free *tap with gemma_feature_tap_free.
 * GEMMA_INVALID_ARGUMENT names the reader or change that does not fit. */
GEMMA_EXPORT gemma_status gemma_feature_tap_create(
    const gemma_model* model, const gemma_feature_tap_options* options,
    gemma_feature_tap** tap);
/* Frees the tap: sessions and requests keep a copy. Null is allowed. */
GEMMA_EXPORT void gemma_feature_tap_free(gemma_feature_tap* tap);
/* Lets the session use the tap from now on, in place of any other; null removes
 * it. GEMMA_INVALID_ARGUMENT if it was made for another model. */
GEMMA_EXPORT gemma_status gemma_session_set_feature_tap(
    gemma_session* session, const gemma_feature_tap* tap);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_FEATURES_H_ */
