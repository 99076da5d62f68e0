"""Damaged packed models, and a program that runs what is not refused."""

import struct
import zlib

FUZZ = """
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
  int counts[6] = {0};
  for (int k = 1; k < argc; k++) {
    FILE *file = fopen(argv[k], "rb");
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint8_t *model = malloc(size ? (size_t)size : 1);
    if (fread(model, 1, (size_t)size, file) != (size_t)size) return 9;
    fclose(file);
    int found = emb_check(model, (uint32_t)size);
    counts[found]++;
    if (found == EMB_OK) {
      uint32_t n = u32_at(model + 20), most = 1;
      const float *inputs[16];
      for (uint32_t i = 0; i < n; i++)
        if (u32_at(model + HEADER + INPUT * i + 4) > most)
          most = u32_at(model + HEADER + INPUT * i + 4);
      /* once as on a device, once with the scratch of the fast way */
      for (int fast = 0; fast < 2 && n <= 16 && most < 1000000; fast++) {
        if (fast) {
          uint32_t scratch = emboscope_scratch(model);
          uint32_t place = u32_at(model + 32), sizes[2] = {place + scratch, scratch};
          memcpy(model + 32, sizes, 8), memcpy(model + 56, &place, 4);
        }
        float *view = calloc(most, 4), *out = calloc(u32_at(model + 40), 4);
        float *arena = calloc(u32_at(model + 32) + 1, 4);
        for (uint32_t i = 0; i < n; i++) inputs[i] = view;
        emb_run(model, arena, inputs, out);
        free(view), free(out), free(arena);
      }
    }
    free(model);
  }
  for (int k = 0; k < 6; k++) printf("%d ", counts[k]);
  return 0;
}
"""


def with_crc(content):
    return content[:16] + struct.pack("<I", zlib.crc32(content[64:])) + content[20:]
