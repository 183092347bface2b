/* Runs a SavedModel from strings to strings and floats with TensorFlow's C++ loader, without Python.
 *
 *     loader DIR INPUT_OP OUTPUT_OP INDEX[,INDEX...] TEXT...
 *
 * prints one line for each output, its values separated by tabs. The environment's OP_LIBRARY, where
 * it is set, names a library of further ops. */
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

int main(int argc, char** argv) {
  if (argc < 6) return 2;
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

  int64_t rows = argc - 5;
  TF_Tensor* input = TF_AllocateTensor(TF_STRING, &rows, 1, rows * sizeof(TF_TString));
  TF_TString* strings = (TF_TString*)TF_TensorData(input);
  for (int64_t i = 0; i < rows; i++) {
    TF_StringInit(&strings[i]);
    TF_StringCopy(&strings[i], argv[5 + i], strlen(argv[5 + i]));
  }

  TF_Output in = {TF_GraphOperationByName(graph, argv[2]), 0}, outs[16];
  TF_Tensor* answers[16];
  int count = 0;
  for (char* index = strtok(argv[4], ","); index && count < 16; index = strtok(NULL, ","))
    outs[count++] = (TF_Output){TF_GraphOperationByName(graph, argv[3]), atoi(index)};
  TF_SessionRun(session, NULL, &in, &input, 1, outs, answers, count, NULL, 0, NULL, status);
  check(status);

  for (int k = 0; k < count; k++) {
    int64_t values = TF_TensorElementCount(answers[k]);
    for (int64_t i = 0; i < values; i++) {
      if (i) putchar('\t');
      if (TF_TensorType(answers[k]) == TF_STRING) {
        const TF_TString* string = (const TF_TString*)TF_TensorData(answers[k]) + i;
        fwrite(TF_StringGetDataPointer(string), 1, TF_StringGetSize(string), stdout);
      } else {
        printf("%.8g", ((const float*)TF_TensorData(answers[k]))[i]);
      }
    }
    putchar('\n');
  }
  return 0;
}
