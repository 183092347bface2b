/* Asks a SavedModel anything with TensorFlow's C++ loader, without Python.
 *
 *     caller DIR [in OP INDEX TYPE RANK DIM... VALUE...]... [out OP INDEX]...
 *
 * where TYPE is s, i or f. It prints one line for each output: RANK DIM... VALUE..., texts as x and
 * their bytes in hexadecimal. The environment's OP_LIBRARY names a library of further ops. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

static void check(TF_Status* status) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s\n", TF_Message(status));
  exit(1);
}

/* Reads a tensor from TYPE RANK DIM... VALUE...; returns how many words that took. */
static int read_tensor(char** words, TF_Tensor** tensor) {
  TF_DataType type = *words[0] == 's'   ? TF_STRING
                     : *words[0] == 'i' ? TF_INT32
                     : *words[0] == 'l' ? TF_INT64
                                        : TF_FLOAT;
  int rank = atoi(words[1]), taken = 2;
  int64_t dims[8], count = 1;
  for (int i = 0; i < rank; i++) count *= dims[i] = atoll(words[taken++]);
  size_t size = type == TF_STRING ? sizeof(TF_TString) : type == TF_INT64 ? 8 : 4;
  *tensor = TF_AllocateTensor(type, dims, rank, count * size);
  void* data = TF_TensorData(*tensor);
  for (int64_t i = 0; i < count; i++, taken++) {
    if (type == TF_INT32) ((int*)data)[i] = atoi(words[taken]);
    if (type == TF_INT64) ((int64_t*)data)[i] = atoll(words[taken]);
    if (type == TF_FLOAT) ((float*)data)[i] = strtof(words[taken], NULL);
    if (type == TF_STRING) {
      TF_StringInit((TF_TString*)data + i);
      TF_StringCopy((TF_TString*)data + i, words[taken], strlen(words[taken]));
    }
  }
  return taken;
}

static void print_tensor(const TF_Tensor* tensor) {
  const void* data = TF_TensorData(tensor);
  printf("%d", TF_NumDims(tensor));
  for (int i = 0; i < TF_NumDims(tensor); i++) printf(" %lld", (long long)TF_Dim(tensor, i));
  for (int64_t i = 0; i < TF_TensorElementCount(tensor); i++) {
    if (TF_TensorType(tensor) == TF_INT32) printf(" %d", ((const int*)data)[i]);
    if (TF_TensorType(tensor) == TF_BOOL) printf(" %d", ((const unsigned char*)data)[i]);
    if (TF_TensorType(tensor) == TF_FLOAT) printf(" %.9g", ((const float*)data)[i]);
    if (TF_TensorType(tensor) == TF_STRING) {
      const TF_TString* text = (const TF_TString*)data + i;
      const unsigned char* bytes = (const unsigned char*)TF_StringGetDataPointer(text);
      printf(" x");
      for (size_t k = 0; k < TF_StringGetSize(text); k++) printf("%02x", bytes[k]);
    }
  }
  putchar('\n');
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  TF_Status* status = TF_NewStatus();
  if (getenv("OP_LIBRARY")) {
    TF_LoadLibrary(getenv("OP_LIBRARY"), status);
    check(status);
  }
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session =
      TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check(status);

  TF_Output ins[16], outs[16];
  TF_Tensor *given[16], *answers[16];
  int in = 0, out = 0;
  for (int i = 2; i < argc;) {
    TF_Output place = {TF_GraphOperationByName(graph, argv[i + 1]), atoi(argv[i + 2])};
    if (!strcmp(argv[i], "in")) {
      ins[in] = place;
      i += 3 + read_tensor(argv + i + 3, &given[in++]);
    } else {
      outs[out++] = place;
      i += 3;
    }
  }
  TF_SessionRun(session, NULL, ins, given, in, outs, answers, out, NULL, 0, NULL, status);
  check(status);
  for (int k = 0; k < out; k++) print_tensor(answers[k]);
  return 0;
}
