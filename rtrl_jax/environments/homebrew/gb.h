// What both games stand on: the screen, the buttons, random numbers. No initialised globals: start-up copies nothing.
#ifndef GB_H
#define GB_H
#include <stdint.h>

#define COLUMNS 20
#define ROWS 18

// Buttons, as bits of `held` and `pressed`.
#define RIGHT 0x01
#define LEFT 0x02
#define UP 0x04
#define DOWN 0x08
#define A 0x10
#define B 0x20
#define SELECT 0x40
#define START 0x80

extern uint8_t held;    // down now
extern uint8_t pressed; // down now and not one frame ago

// The random numbers' state, at a place of its own so that it can be set from outside. 0 is as good a seed as any.
volatile __at(0xC000) uint16_t rng_state;

void screen_init(const uint8_t *tiles, uint8_t first, uint8_t count); // tiles: 16 bytes each, beside the font
void load_tiles(const uint8_t *from, uint8_t first, uint8_t count); // four a frame, so count is a multiple of four
void clear(void);
void put(uint8_t column, uint8_t row, uint8_t tile);
void text(uint8_t column, uint8_t row, const char *string);
void number(uint8_t column, uint8_t row, uint16_t value, uint8_t digits);
void next_frame(void); // waits for the vertical blank, shows what has changed, reads the buttons
uint8_t random8(void);
uint8_t below(uint8_t limit); // 0 … limit − 1

#endif
