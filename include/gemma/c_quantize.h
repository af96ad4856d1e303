/* Writing a model to one file, and checking such a file, for C. */

#ifndef GEMMA_C_QUANTIZE_H_
#define GEMMA_C_QUANTIZE_H_

#include "gemma/c_model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The layout of weights in the file. */
typedef enum gemma_file_layout {
  GEMMA_LAYOUT_PACKED = 0, /* ready to compute with */
  GEMMA_LAYOUT_GGUF = 1    /* GGUF's, which other programs can read, too */
} gemma_file_layout;

/* How to write a model; see QuantizeOptions in gemma/quantize.h. */
typedef struct gemma_quantize_options {
  size_t struct_size;       /* set by gemma_quantize_options_init */
  gemma_weight_type type;   /* of matrices */
  gemma_file_layout layout; /* of the file */
  double bits; /* the most bits per weight, in place of `type`; 0: as `type` */
  const gemma_weight_type* table_type;  /* of tables of per-layer embeddings;
                                         * null: as all others */
  const gemma_weight_type* expert_type; /* of experts' matrices; likewise */
  const char* importance;      /* path of a file of importance, or null */
  const char* const* adapters; /* paths of LoRA adapters to merge first */
  const float* adapter_scales; /* of each; null: all 1 */
  size_t num_adapters;         /* how many there are */
  size_t num_threads;          /* 0: one per core that the process may use */
  /* Receives each thing that is made up for because the importance file lacks
   * it: a sentence, terminated by 0. May be null. */
  void (*note)(const char* text, void* user);
  /* Called repeatedly with the source's bytes done and all. Return false to
   * cancel. May be null. */
  bool (*progress)(uint64_t done, uint64_t total, void* user);
  void* user;     /* passed to note and progress */
  bool overwrite; /* replace an existing file */
} gemma_quantize_options;

/* Sets the defaults. size: sizeof(gemma_quantize_options). */
GEMMA_EXPORT void gemma_quantize_options_init(gemma_quantize_options* options,
                                              size_t size);

/* Writes the model at `source` to the file `target`, which stays unchanged
 * until everything is written. options: null for the defaults.
 * GEMMA_ALREADY_EXISTS if the target exists and overwrite is false. See
 * Quantize in gemma/quantize.h for memory, types and other errors. */
GEMMA_EXPORT gemma_status gemma_quantize(const char* source, const char* target,
                                         const gemma_quantize_options* options);

/* How to check a file. */
typedef struct gemma_verify_options {
  size_t struct_size; /* set by gemma_verify_options_init */
  size_t num_threads; /* 0: one per core that the process may use */
  /* Called repeatedly with the bytes done and the total. Return false to
   * cancel. May be null. */
  bool (*progress)(uint64_t done, uint64_t total, void* user);
  void* user; /* passed to progress */
} gemma_verify_options;

/* Sets the defaults. size: sizeof(gemma_verify_options). */
GEMMA_EXPORT void gemma_verify_options_init(gemma_verify_options* options,
                                            size_t size);

/* The result for a file without errors. */
typedef struct gemma_file_check {
  size_t struct_size; /* set by gemma_file_check_init */
  size_t tensors;     /* tensors checked */
  uint64_t bytes;     /* bytes of their data */
  bool has_checksums; /* false: only checked that weights are finite */
} gemma_file_check;

/* Sets struct_size, and all other fields to 0. size:
 * sizeof(gemma_file_check). */
GEMMA_EXPORT void gemma_file_check_init(gemma_file_check* check, size_t size);

/* Reads all weights of a GGUF file, compares the checksums that gemma_quantize
 * wrote into it and looks for weights that are not finite. options: null for
 * the defaults. check: may be null. GEMMA_DATA_LOSS names the first tensor with
 * a wrong checksum. */
GEMMA_EXPORT gemma_status gemma_verify_file(const char* path,
                                            const gemma_verify_options* options,
                                            gemma_file_check* check);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_QUANTIZE_H_ */
