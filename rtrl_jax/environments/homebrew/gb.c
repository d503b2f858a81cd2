// The screen as 20 x 18 tiles kept in RAM; rows that have changed are copied in the vertical blank, as many as fit.
#include "gb.h"
#include "font.h"

volatile __sfr __at(0x00) rP1;
volatile __sfr __at(0x0F) rIF;
volatile __sfr __at(0x26) rNR52;
volatile __sfr __at(0x40) rLCDC;
volatile __sfr __at(0x42) rSCY;
volatile __sfr __at(0x43) rSCX;
volatile __sfr __at(0x44) rLY;
volatile __sfr __at(0x47) rBGP;
volatile __sfr __at(0xFF) rIE;

#define TILE_DATA ((uint8_t *)0x8000)
#define TILE_MAP ((uint8_t *)0x9800)
#define SCREEN_ON 0x91 // background from tile data at 0x8000
#define TILES_A_FRAME 4
#define LAST_LINE 149 // of the vertical blank (144 to 153) at which a row may still be begun

volatile uint8_t frame_passed;
uint8_t held, pressed;
static uint8_t cells[ROWS][COLUMNS];
static uint8_t changed[ROWS];
static uint8_t next_row;
static const uint8_t *copy_from;
static uint8_t *copy_to;
static uint8_t copy_length;

static void copy(void) __naked { // ten machine cycles a byte, of the 1,140 of a vertical blank
	__asm
	ld	hl, #_copy_from
	ld	a, (hl+)
	ld	e, a
	ld	d, (hl)
	ld	hl, #_copy_to
	ld	a, (hl+)
	ld	h, (hl)
	ld	l, a
	push	hl
	ld	hl, #_copy_length
	ld	c, (hl)
	pop	hl
copy_cell:
	ld	a, (de)
	inc	de
	ld	(hl+), a
	dec	c
	jr	nz, copy_cell
	ret
	__endasm;
}

static void copy_tiles(const uint8_t *from, uint8_t first, uint8_t count) {
	uint8_t *to = TILE_DATA + ((uint16_t)first << 4);
	for (uint16_t n = (uint16_t)count << 4; n; n--) *to++ = *from++;
}

static void screen_off(void) {
	while (rLY < 145) ; // switched off elsewhere, a real machine's screen takes harm
	rLCDC = 0;
}

static void wait_for_blank(void) {
	frame_passed = 0; // one that has begun already may be too short
	while (!frame_passed) __asm__("halt\nnop");
}

void load_tiles(const uint8_t *from, uint8_t first, uint8_t count) {
	uint8_t *to = TILE_DATA + ((uint16_t)first << 4);
	for (; count; count -= TILES_A_FRAME, from += TILES_A_FRAME * 16, to += TILES_A_FRAME * 16) {
		wait_for_blank();
		copy_from = from;
		copy_to = to;
		copy_length = TILES_A_FRAME * 16;
		copy();
	}
}

void screen_init(const uint8_t *tiles, uint8_t first, uint8_t count) {
	screen_off();
	rNR52 = 0; // silence
	copy_tiles(font, 32, 64);
	copy_tiles(tiles, first, count);
	for (uint16_t i = 0; i < 1024; i++) TILE_MAP[i] = ' ';
	clear();
	rBGP = 0xE4;
	rSCX = rSCY = 0;
	rIF = 0;
	rIE = 1;
	rLCDC = SCREEN_ON;
	__asm__("ei");
}

void put(uint8_t column, uint8_t row, uint8_t tile) {
	if (cells[row][column] != tile) {
		cells[row][column] = tile;
		changed[row] = 1;
	}
}

void clear(void) {
	for (uint8_t row = 0; row < ROWS; row++)
		for (uint8_t column = 0; column < COLUMNS; column++) put(column, row, ' ');
}

void text(uint8_t column, uint8_t row, const char *string) {
	while (*string) put(column++, row, (uint8_t)*string++);
}

void number(uint8_t column, uint8_t row, uint16_t value, uint8_t digits) {
	uint8_t character = '0' + (uint8_t)(value % 10);
	while (digits--) {
		put(column + digits, row, character);
		value /= 10;
		character = value ? '0' + (uint8_t)(value % 10) : ' ';
	}
}

static uint8_t buttons(void) {
	uint8_t down;
	rP1 = 0x20;
	rP1;
	down = ~rP1 & 0x0F;
	rP1 = 0x10;
	rP1;
	rP1;
	down |= (uint8_t)((~rP1 & 0x0F) << 4);
	rP1 = 0x30;
	return down;
}

void next_frame(void) {
	uint8_t before = held;
	wait_for_blank();
	for (uint8_t looked = 0; looked < ROWS && rLY >= 144 && rLY <= LAST_LINE; looked++) {
		if (changed[next_row]) {
			changed[next_row] = 0;
			copy_from = cells[next_row];
			copy_to = TILE_MAP + ((uint16_t)next_row << 5);
			copy_length = COLUMNS;
			copy();
		}
		if (++next_row == ROWS) next_row = 0;
	}
	held = buttons();
	pressed = held & ~before;
}

uint8_t random8(void) {
	uint16_t x = rng_state ? rng_state : 0xACE1; // xorshift, period 65,535
	x ^= x << 7;
	x ^= x >> 9;
	x ^= x << 8;
	rng_state = x;
	return (uint8_t)(x >> 4);
}

uint8_t below(uint8_t limit) {
	return (uint8_t)(((uint16_t)random8() * limit) >> 8);
}
