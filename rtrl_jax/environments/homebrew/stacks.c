// Stacks: falling blocks. Seven pieces, rotation, lines, levels that speed up. Waiting loses the game.
//
// LEFT and RIGHT move (and repeat when held), DOWN drops faster, A turns clockwise, B the other way; UP does nothing.
#include "gb.h"
#include "stacks_art.h"

#define FIRST_TILE 128u
#define WIDTH 10
#define HEIGHT 18
#define WELL 2 // column of the screen where the well begins
#define EMPTY 0
#define LINES_A_LEVEL 5
#define TOP_LEVEL 20
#define REPEAT_FIRST 14 // frames a direction is held before it repeats
#define REPEAT_THEN 5
#define DROP_FRAMES 2 // a row, while DOWN is held
#define FLASH_FRAMES 16

enum { PLAYING = 0, OVER = 1, TITLE = 2 };

// What an agent's rewards are made of, at fixed places (see stacks.py).
volatile __at(0xC010) uint8_t phase;
volatile __at(0xC011) uint8_t level;
volatile __at(0xC012) uint16_t lines;
volatile __at(0xC014) uint32_t score;
volatile __at(0xC018) uint8_t piece;
volatile __at(0xC019) uint8_t following;
volatile __at(0xC01A) uint8_t turn;
volatile __at(0xC01B) int8_t piece_x;
volatile __at(0xC01C) int8_t piece_y;
volatile __at(0xC01D) uint16_t pieces;
volatile __at(0xC040) uint8_t well[HEIGHT][WIDTH];

// A piece in a 4 x 4 box: a bit for each cell, rows from the top, for each quarter turn.
static const uint16_t SHAPES[7][4] = {
	{0x0F00, 0x4444, 0x0F00, 0x4444}, // I
	{0x0660, 0x0660, 0x0660, 0x0660}, // O
	{0x0E40, 0x4C40, 0x4E00, 0x4640}, // T
	{0x06C0, 0x4620, 0x06C0, 0x4620}, // S
	{0x0C60, 0x2640, 0x0C60, 0x2640}, // Z
	{0x0E20, 0x44C0, 0x8E00, 0x6440}, // J
	{0x0E80, 0xC440, 0x2E00, 0x4460}, // L
};
static const uint8_t FRAMES_A_ROW[TOP_LEVEL + 1] = {
	48, 43, 38, 33, 28, 23, 18, 14, 11, 9, 8, 7, 6, 5, 4, 4, 3, 3, 2, 2, 1};
static const uint16_t LINE_SCORES[5] = {0, 40, 100, 300, 1200};

static uint8_t fall_in, repeat_in;

static uint8_t fits(int8_t x, int8_t y, uint8_t turned) {
	uint16_t bits = SHAPES[piece][turned];
	for (int8_t row = 0; row < 4; row++)
		for (int8_t column = 0; column < 4; column++, bits <<= 1)
			if (bits & 0x8000) {
				int8_t wx = x + column, wy = y + row;
				if (wx < 0 || wx >= WIDTH || wy >= HEIGHT) return 0;
				if (wy >= 0 && well[wy][wx] != EMPTY) return 0;
			}
	return 1;
}

static void paint(uint8_t visible) {
	uint16_t bits = SHAPES[piece][turn];
	for (int8_t row = 0; row < 4; row++)
		for (int8_t column = 0; column < 4; column++, bits <<= 1)
			if ((bits & 0x8000) && piece_y + row >= 0)
				put((uint8_t)(WELL + piece_x + column), (uint8_t)(piece_y + row), visible ? FIRST_TILE + piece : ' ');
}

static void paint_following(void) {
	uint16_t bits = SHAPES[following][0];
	for (uint8_t row = 0; row < 4; row++)
		for (uint8_t column = 0; column < 4; column++, bits <<= 1)
			put(15 + column, 13 + row, (bits & 0x8000) ? FIRST_TILE + following : ' ');
}

static void paint_row(uint8_t row) {
	for (uint8_t column = 0; column < WIDTH; column++)
		put(WELL + column, row, well[row][column] ? FIRST_TILE - 1 + well[row][column] : ' ');
}

static void paint_figures(void) {
	uint8_t digits[6];
	uint32_t rest = score;
	for (uint8_t i = 6; i--; rest /= 10) digits[i] = (uint8_t)(rest % 10);
	for (uint8_t i = 0; i < 6; i++) put(14 + i, 2, '0' + digits[i]);
	number(17, 6, level, 2);
	number(16, 10, lines, 3);
}

static void paint_frame(void) {
	clear();
	for (uint8_t row = 0; row < HEIGHT; row++) {
		put(WELL - 1, row, FIRST_TILE + TILE_WALL);
		put(WELL + WIDTH, row, FIRST_TILE + TILE_WALL);
	}
	text(14, 1, "SCORE");
	text(14, 5, "LEVEL");
	text(14, 9, "LINES");
	text(14, 12, "NEXT");
	paint_figures();
}

static void next_piece(void) {
	piece = following;
	following = below(7);
	turn = 0;
	piece_x = 3;
	piece_y = -1;
	fall_in = FRAMES_A_ROW[level];
	pieces++;
	paint_following();
	if (!fits(piece_x, piece_y, turn)) phase = OVER;
	paint(1);
}

static uint8_t is_full(uint8_t row) {
	for (uint8_t column = 0; column < WIDTH; column++)
		if (well[row][column] == EMPTY) return 0;
	return 1;
}

static void clear_lines(void) {
	uint8_t full = 0;
	for (uint8_t row = 0; row < HEIGHT; row++)
		if (is_full(row)) {
			full++;
			for (uint8_t column = 0; column < WIDTH; column++) put(WELL + column, row, FIRST_TILE + TILE_GONE);
		}
	if (!full) return;
	for (uint8_t i = 0; i < FLASH_FRAMES; i++) next_frame();
	for (int8_t row = HEIGHT - 1, from = HEIGHT - 1; row >= 0; row--) {
		while (from >= 0 && is_full(from)) from--;
		for (uint8_t column = 0; column < WIDTH; column++) well[row][column] = from >= 0 ? well[from][column] : EMPTY;
		from--;
	}
	for (uint8_t row = 0; row < HEIGHT; row++) paint_row(row);
	score += (uint32_t)LINE_SCORES[full] * (level + 1);
	lines += full;
	level = lines / LINES_A_LEVEL > TOP_LEVEL ? TOP_LEVEL : (uint8_t)(lines / LINES_A_LEVEL);
	paint_figures();
}

static void land(void) {
	uint16_t bits = SHAPES[piece][turn];
	for (int8_t row = 0; row < 4; row++)
		for (int8_t column = 0; column < 4; column++, bits <<= 1)
			if ((bits & 0x8000) && piece_y + row >= 0) well[piece_y + row][piece_x + column] = piece + 1;
	paint_figures();
	clear_lines();
	next_piece();
}

static void move(int8_t dx, int8_t dy, uint8_t turned) {
	if (!fits(piece_x + dx, piece_y + dy, turned)) return;
	paint(0);
	piece_x += dx;
	piece_y += dy;
	turn = turned;
	paint(1);
}

static void steer(void) {
	uint8_t sideways = held & (LEFT | RIGHT);
	if (pressed & A) move(0, 0, (turn + 1) & 3);
	if (pressed & B) move(0, 0, (turn + 3) & 3);
	if (pressed & (LEFT | RIGHT)) repeat_in = REPEAT_FIRST;
	else if (sideways && --repeat_in == 0) repeat_in = REPEAT_THEN;
	else sideways = 0;
	if (sideways) move(sideways & LEFT ? -1 : 1, 0, turn);
}

static void fall(void) {
	if ((held & DOWN) && fall_in > DROP_FRAMES) {
		fall_in = DROP_FRAMES;
		score++;
	}
	if (--fall_in) return;
	fall_in = FRAMES_A_ROW[level];
	if (fits(piece_x, piece_y + 1, turn)) move(0, 1, turn);
	else land();
}

void main(void) {
	phase = TITLE;
	screen_init(stacks_art, FIRST_TILE, STACKS_ART_COUNT);
	text(7, 5, "STACKS");
	for (uint8_t i = 0; i < 7; i++) put(6 + i, 7, FIRST_TILE + i);
	text(4, 11, "PRESS START");
	do next_frame(); while (!(pressed & START));
	for (;;) {
		for (uint8_t row = 0; row < HEIGHT; row++)
			for (uint8_t column = 0; column < WIDTH; column++) well[row][column] = EMPTY;
		score = 0;
		lines = pieces = 0;
		level = 0;
		phase = PLAYING;
		paint_frame();
		following = below(7);
		next_piece();
		while (phase == PLAYING) {
			next_frame();
			steer();
			fall();
		}
		text(WELL, 8, "GAME  OVER");
		do next_frame(); while (!(pressed & START));
	}
}
