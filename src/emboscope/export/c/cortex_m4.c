/* Runs a model on a Cortex-M4 of the board MPS2 AN386, and tells the host what came out. */
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "model.h"
#include "samples.h" /* N_SAMPLES, N_VALUES, SAMPLES, PREDICT(values, probabilities), N_CLASSES */

extern uint32_t emb_stack[], emb_data[], emb_data_end[], emb_data_load[], emb_bss[], emb_bss_end[];
extern uint32_t emb_floor[];
int main(void);

static uint32_t call_host(uint32_t number, const void *argument) {
  register uint32_t r0 __asm__("r0") = number;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static void tell(uint32_t value) {
  char text[10];
  for (int k = 0; k < 8; k++) text[k] = "0123456789abcdef"[value >> (28 - 4 * k) & 15];
  text[8] = '\n', text[9] = 0;
  call_host(4, text); /* SYS_WRITE0 */
}

static void fault(void) {
  call_host(4, "fault\n");
  call_host(0x18, (void *)0x20023); /* SYS_EXIT, a run-time error */
  for (;;) {
  }
}

static void reset(void) {
  *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* the floating-point unit */
  __asm__ volatile("dsb\n isb");
  for (uint32_t *to = emb_data, *from = emb_data_load; to < emb_data_end;) *to++ = *from++;
  for (uint32_t *to = emb_bss; to < emb_bss_end;) *to++ = 0;
  main();
  call_host(0x18, (void *)0x20026); /* SYS_EXIT, all well */
  for (;;) {
  }
}

__attribute__((section(".vectors"), used)) static void *const VECTORS[16] = {
    emb_stack, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
    (void *)fault};

#define TIMER ((volatile uint32_t *)0x40000000) /* control, value, reload: counts down */

int main(void) {
  float probabilities[N_CLASSES];
  volatile uint32_t *lowest = emb_floor;
  uint32_t *here;
  tell((uint32_t)emboscope_check());
  __asm__ volatile("mov %0, sp" : "=r"(here));
  for (uint32_t *at = emb_floor; at < here - 64; at++) *at = 0xA5A5A5A5u;
  TIMER[2] = 0xFFFFFFFFu, TIMER[1] = 0xFFFFFFFFu, TIMER[0] = 1;
  for (int k = 0; k < N_SAMPLES; k++) {
    uint32_t before = TIMER[1];
    PREDICT(SAMPLES[k], probabilities);
    tell(before - TIMER[1]);
    for (int c = 0; c < N_CLASSES; c++) {
      uint32_t bits;
      memcpy(&bits, probabilities + c, 4);
      tell(bits);
    }
  }
  while (*lowest == 0xA5A5A5A5u) lowest++;
  tell(4u * (uint32_t)(emb_stack - (uint32_t *)lowest));
  return 0;
}
