/* Runs a SavedModel from floats to floats with TensorFlow's C++ loader, without Python.
 *
 *     float_loader DIR OUTPUT_OP INDEX[,INDEX...] {INPUT_OP DIMENSION,DIMENSION,... FILE}...
 *
 * reads each input from a file of float32, and prints one line for each output, its values
 * separated by tabs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tensorflow/c/c_api.h"

static void check(TF_Status* status) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s\n", TF_Message(status));
  exit(1);
}

static TF_Tensor* read_tensor(char* dimensions, const char* path) {
  int64_t shape[8], count = 1;
  int rank = 0;
  for (char* size = strtok(dimensions, ","); size && rank < 8; size = strtok(NULL, ",")) {
    shape[rank] = atoll(size);
    count *= shape[rank++];
  }
  TF_Tensor* tensor = TF_AllocateTensor(TF_FLOAT, shape, rank, count * sizeof(float));
  FILE* file = fopen(path, "rb");
  if (!file || fread(TF_TensorData(tensor), sizeof(float), count, file) != (size_t)count) {
    fprintf(stderr, "cannot read %s\n", path);
    exit(1);
  }
  fclose(file);
  return tensor;
}

int main(int argc, char** argv) {
  if (argc < 7 || (argc - 4) % 3) return 2;
  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session =
      TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check(status);

  TF_Output ins[8], outs[8];
  TF_Tensor *inputs[8], *answers[8];
  int in_count = 0, out_count = 0;
  for (char* index = strtok(argv[3], ","); index && out_count < 8; index = strtok(NULL, ","))
    outs[out_count++] = (TF_Output){TF_GraphOperationByName(graph, argv[2]), atoi(index)};
  for (int i = 4; i < argc && in_count < 8; i += 3) {
    ins[in_count] = (TF_Output){TF_GraphOperationByName(graph, argv[i]), 0};
    inputs[in_count++] = read_tensor(argv[i + 1], argv[i + 2]);
  }
  TF_SessionRun(session, NULL, ins, inputs, in_count, outs, answers, out_count, NULL, 0, NULL,
                status);
  check(status);

  for (int k = 0; k < out_count; k++) {
    int64_t values = TF_TensorElementCount(answers[k]);
    for (int64_t i = 0; i < values; i++)
      printf(i ? "\t%.8g" : "%.8g", ((const float*)TF_TensorData(answers[k]))[i]);
    putchar('\n');
  }
  return 0;
}
