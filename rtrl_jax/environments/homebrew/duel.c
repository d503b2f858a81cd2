// Duel: turn-based battles by menus. Types with strengths and weaknesses, teams of one to three, and wild creatures to catch.
// Waiting loses nothing: every message waits for A or B, every menu for a choice.
//
// UP and DOWN move the cursor, A chooses. From the title START begins the battles, SELECT the catching.
#include "gb.h"
#include "creatures_art.h"
#include "duel_art.h"

#define FIRST_TILE 96u
#define OWN_TILES 128u
#define FOE_TILES 164u
#define CREATURE_TILES 36u
#define TEAM 3
#define CHOICES 4
#define CAPSULES 5
#define OWN_LEVEL 20
#define LAST_BATTLE 40
#define LAST_CATCH 20
#define MOOR 5
#define BAR 8 // tiles of a health bar

enum { PLAIN, FIRE, WATER, LEAF, STONE, VOLT };
enum { TITLE, MESSAGE, MENU, ENDED };
enum { NOWHERE, WILD, BATTLE };
enum { UNDECIDED, WON, LOST, CAUGHT, GONE };

// What an agent's rewards are made of, at fixed places (see duel.py).
volatile __at(0xC010) uint8_t wanted_mode;      // set from outside at the title: WILD or BATTLE begins one
volatile __at(0xC011) uint8_t encounter;        // which, from 0
volatile __at(0xC012) uint8_t phase;
volatile __at(0xC013) uint8_t in_battle;
volatile __at(0xC014) uint8_t result;
volatile __at(0xC015) uint8_t cursor;
volatile __at(0xC016) uint8_t caught;           // creatures in the box
volatile __at(0xC017) uint8_t owned;            // a bit for each kind caught
volatile __at(0xC018) uint8_t capsules;
volatile __at(0xC019) uint8_t own_count;
volatile __at(0xC01A) uint8_t foe_count;
volatile __at(0xC01B) uint8_t own_active;
volatile __at(0xC01C) uint8_t foe_active;
volatile __at(0xC020) uint16_t own_hp[TEAM];
volatile __at(0xC026) uint16_t foe_hp[TEAM];
volatile __at(0xC02C) uint16_t own_most[TEAM];
volatile __at(0xC032) uint16_t foe_most[TEAM];
volatile __at(0xC038) uint8_t own_kind[TEAM];
volatile __at(0xC03B) uint8_t foe_kind[TEAM];
volatile __at(0xC03E) uint8_t foe_level;

typedef struct {
	const char *name;
	uint8_t type, health, attack, speed;
	uint8_t moves[3];
} Kind;
typedef struct {
	const char *name;
	uint8_t type, power, accuracy; // accuracy of 256
} Move;

static const char *const TYPE_NAMES[] = {"PLAIN", "FIRE", "WATER", "LEAF", "STONE", "VOLT"};
static const Move MOVES[] = {
	{"BUMP", PLAIN, 40, 250}, {"SINGE", FIRE, 48, 240}, {"SPLASH", WATER, 48, 240}, {"THORNS", LEAF, 48, 240},
	{"PEBBLE", STONE, 48, 235}, {"SPARK", VOLT, 48, 240}, {"BLAZE", FIRE, 72, 170}, {"SURGE", WATER, 72, 170},
	{"BLOOM", LEAF, 72, 170}, {"QUAKE", STONE, 72, 165}, {"THUNDER", VOLT, 72, 160}, {"CHARGE", PLAIN, 64, 190},
};
static const Kind KINDS[] = {
	{"CINDER", FIRE, 38, 34, 32, {1, 6, 0}},   {"BROOK", WATER, 42, 31, 26, {2, 7, 0}},
	{"BRIAR", LEAF, 40, 32, 28, {3, 8, 0}},    {"BOULDER", STONE, 48, 33, 14, {4, 9, 0}},
	{"FLICK", VOLT, 34, 35, 38, {5, 10, 0}},   {"MOOR", PLAIN, 46, 30, 22, {0, 11, 4}},
};
// The types each type does double damage to, as bits. The other way round, and against itself, it does half.
static const uint8_t STRONG[] = {
	0, 1 << LEAF, 1 << FIRE | 1 << STONE, 1 << WATER | 1 << STONE, 1 << FIRE | 1 << VOLT, 1 << WATER};

static uint8_t other_button(void) { return pressed & (A | B); }

static void box(void) {
	for (uint8_t column = 1; column < COLUMNS - 1; column++) {
		put(column, 12, FIRST_TILE + TILE_BOX_TOP);
		put(column, 17, FIRST_TILE + TILE_BOX_BOTTOM);
		for (uint8_t row = 13; row < 17; row++) put(column, row, ' ');
	}
	for (uint8_t row = 13; row < 17; row++) {
		put(0, row, FIRST_TILE + TILE_BOX_LEFT);
		put(COLUMNS - 1, row, FIRST_TILE + TILE_BOX_RIGHT);
	}
	put(0, 12, FIRST_TILE + TILE_BOX_TOP_LEFT);
	put(COLUMNS - 1, 12, FIRST_TILE + TILE_BOX_TOP_RIGHT);
	put(0, 17, FIRST_TILE + TILE_BOX_BOTTOM_LEFT);
	put(COLUMNS - 1, 17, FIRST_TILE + TILE_BOX_BOTTOM_RIGHT);
}

static void say(const char *who, const char *what) {
	phase = MESSAGE;
	box();
	text(2, 13, who);
	text(2, 15, what);
	for (uint8_t i = 0; i < 6; i++) next_frame();
	put(17, 16, FIRST_TILE + TILE_MORE);
	do next_frame(); while (!other_button());
}

static void bar(uint8_t column, uint8_t row, uint16_t hp, uint16_t most) {
	uint8_t filled = (uint8_t)((hp * (BAR * 4u) + most - 1) / most); // in quarters of a tile, 0 only for 0
	put(column, row, FIRST_TILE + TILE_BAR_LEFT);
	for (uint8_t i = 0; i < BAR; i++) {
		uint8_t part = filled > 4 ? 4 : filled;
		put(column + 1 + i, row, FIRST_TILE + TILE_BAR_0 + part);
		filled -= part;
	}
	put(column + 1 + BAR, row, FIRST_TILE + TILE_BAR_RIGHT);
}

static void panel_own(void) {
	bar(9, 9, own_hp[own_active], own_most[own_active]);
	number(10, 10, own_hp[own_active], 3);
	put(13, 10, '/');
	number(14, 10, own_most[own_active], 3);
	for (uint8_t i = 0; i < own_count; i++)
		put(10 + i * 2, 11, FIRST_TILE + (own_hp[i] ? TILE_TEAM_UP : TILE_TEAM_DOWN));
}

static void panel_foe(void) {
	bar(0, 3, foe_hp[foe_active], foe_most[foe_active]);
	for (uint8_t i = 0; i < foe_count; i++)
		put(1 + i * 2, 4, FIRST_TILE + (foe_hp[i] ? TILE_TEAM_UP : TILE_TEAM_DOWN));
}

static void show(uint8_t column, uint8_t row, uint8_t tile, uint8_t visible) {
	for (uint8_t y = 0; y < 6; y++)
		for (uint8_t x = 0; x < 6; x++) put(column + x, row + y, visible ? tile++ : ' ');
}

static void send_own(void) {
	const Kind *kind = &KINDS[own_kind[own_active]];
	load_tiles(creatures_art + own_kind[own_active] * (CREATURE_TILES * 16), OWN_TILES, CREATURE_TILES);
	show(1, 6, OWN_TILES, 1);
	text(10, 7, "       ");
	text(10, 7, kind->name);
	text(10, 8, "     ");
	text(10, 8, TYPE_NAMES[kind->type]);
	text(16, 8, "L");
	number(17, 8, OWN_LEVEL, 2);
	panel_own();
}

static void send_foe(void) {
	const Kind *kind = &KINDS[foe_kind[foe_active]];
	load_tiles(creatures_art + foe_kind[foe_active] * (CREATURE_TILES * 16), FOE_TILES, CREATURE_TILES);
	show(13, 0, FOE_TILES, 1);
	text(1, 1, "       ");
	text(1, 1, kind->name);
	text(1, 2, "     ");
	text(1, 2, TYPE_NAMES[kind->type]);
	text(7, 2, "L");
	number(8, 2, foe_level, 2);
	panel_foe();
}

static uint8_t strength(uint8_t attack, uint8_t defence) { // in halves: 1, 2 or 4
	if (STRONG[attack] >> defence & 1) return 4;
	if (attack != PLAIN && (attack == defence || (STRONG[defence] >> attack & 1))) return 1;
	return 2;
}

static uint16_t harm(const Move *move, const Kind *by, uint8_t level, uint8_t against) {
	uint16_t points = (uint16_t)((uint16_t)(by->attack + level) * move->power / 200u);
	points = points * strength(move->type, against) / 2;
	points = points * (218u + below(38)) >> 8;
	return points ? points : 1;
}

static void flicker(uint8_t column, uint8_t row, uint8_t tile) {
	for (uint8_t i = 0; i < 3; i++) {
		show(column, row, tile, 0);
		for (uint8_t j = 0; j < 4; j++) next_frame();
		show(column, row, tile, 1);
		for (uint8_t j = 0; j < 4; j++) next_frame();
	}
}

static void tell_strength(uint8_t strong) {
	if (strong == 4) say("IT HITS HARD!", "");
	if (strong == 1) say("IT HARDLY", "HURTS.");
}

static void own_move(const Move *move) {
	uint16_t points, left;
	uint8_t against = KINDS[foe_kind[foe_active]].type;
	say(KINDS[own_kind[own_active]].name, move->name);
	if (random8() >= move->accuracy) {
		say("IT MISSED.", "");
		return;
	}
	flicker(13, 0, FOE_TILES);
	points = harm(move, &KINDS[own_kind[own_active]], OWN_LEVEL, against);
	left = foe_hp[foe_active];
	foe_hp[foe_active] = left > points ? left - points : 0;
	panel_foe();
	tell_strength(strength(move->type, against));
}

static void foe_move(void) {
	const Kind *kind = &KINDS[foe_kind[foe_active]];
	uint8_t against = KINDS[own_kind[own_active]].type, choice = below(3);
	uint16_t points, left;
	// The further on, the more often the foe picks its best move instead of any.
	if (below(LAST_BATTLE + 10) < encounter)
		for (uint8_t i = 0; i < 3; i++)
			if (strength(MOVES[kind->moves[i]].type, against) > strength(MOVES[kind->moves[choice]].type, against)) choice = i;
	say(in_battle == WILD ? "WILD ONE" : "THE RIVAL", MOVES[kind->moves[choice]].name);
	if (random8() >= MOVES[kind->moves[choice]].accuracy) {
		say("IT MISSED.", "");
		return;
	}
	flicker(1, 6, OWN_TILES);
	points = harm(&MOVES[kind->moves[choice]], kind, foe_level, against);
	left = own_hp[own_active];
	own_hp[own_active] = left > points ? left - points : 0;
	panel_own();
	tell_strength(strength(MOVES[kind->moves[choice]].type, against));
}

static uint8_t next_alive(volatile uint16_t *hp, uint8_t count, uint8_t from) { // `from` itself if there is no other
	for (uint8_t i = 1; i <= count; i++) {
		uint8_t candidate = (from + i) % count;
		if (hp[candidate]) return candidate;
	}
	return from;
}

static void paint_menu(void) {
	const Kind *kind = &KINDS[own_kind[own_active]];
	box();
	for (uint8_t i = 0; i < 3; i++) {
		text(3, 13 + i, MOVES[kind->moves[i]].name);
		text(12, 13 + i, TYPE_NAMES[MOVES[kind->moves[i]].type]);
	}
	if (in_battle == WILD) {
		text(3, 16, "CAPSULE");
		put(12, 16, FIRST_TILE + TILE_CAPSULE);
		number(14, 16, capsules, 1);
	} else text(3, 16, "SWAP");
}

static uint8_t choose(void) {
	paint_menu();
	phase = MENU;
	for (;;) {
		for (uint8_t i = 0; i < CHOICES; i++) put(2, 13 + i, i == cursor ? FIRST_TILE + TILE_CURSOR : ' ');
		next_frame();
		if ((pressed & UP) && cursor) cursor--;
		if ((pressed & DOWN) && cursor < CHOICES - 1) cursor++;
		if (pressed & A) return cursor;
	}
}

static void throw_capsule(void) {
	uint16_t most = foe_most[0] * 3u, ease = most - foe_hp[0] * 2u; // a third of it unhurt, all of it near 0
	uint8_t chance = 230 - encounter * 5;
	capsules--;
	say("YOU THROW", "A CAPSULE.");
	show(13, 0, FOE_TILES, 0);
	for (uint8_t wobble = 0; wobble < 3; wobble++) {
		put(15, 3 + (wobble & 1), FIRST_TILE + TILE_CAPSULE);
		for (uint8_t i = 0; i < 10; i++) next_frame();
		put(15, 3 + (wobble & 1), ' ');
	}
	if (random8() < (uint16_t)(chance * ease / most)) {
		put(15, 4, FIRST_TILE + TILE_CAPSULE);
		caught++;
		owned |= 1 << foe_kind[0];
		result = CAUGHT;
		say("CAUGHT IT!", "");
	} else {
		show(13, 0, FOE_TILES, 1);
		say("IT BROKE FREE.", "");
	}
}

static void act(uint8_t choice) {
	if (choice < 3) own_move(&MOVES[KINDS[own_kind[own_active]].moves[choice]]);
	else if (in_battle == WILD) throw_capsule();
	else {
		own_active = next_alive(own_hp, own_count, own_active);
		say("COME BACK!", "");
		send_own();
	}
}

static uint8_t foe_fallen(void) {
	if (foe_hp[foe_active]) return 0;
	show(13, 0, FOE_TILES, 0);
	panel_foe();
	say("THE FOE FALLS.", "");
	if (next_alive(foe_hp, foe_count, foe_active) == foe_active) {
		result = in_battle == WILD ? GONE : WON;
		return 1;
	}
	foe_active = next_alive(foe_hp, foe_count, foe_active);
	send_foe();
	return 1;
}

static uint8_t own_fallen(void) {
	if (own_hp[own_active]) return 0;
	show(1, 6, OWN_TILES, 0);
	panel_own();
	say("YOURS FALLS.", "");
	if (next_alive(own_hp, own_count, own_active) == own_active) {
		result = LOST;
		return 1;
	}
	own_active = next_alive(own_hp, own_count, own_active);
	send_own();
	return 1;
}

static void foe_turn(void) {
	if (in_battle == WILD && (capsules == 0 || below(200) < encounter)) {
		result = GONE;
		say("IT RUNS AWAY.", "");
		return;
	}
	foe_move();
	own_fallen();
}

static void turn(void) {
	uint8_t choice = choose(), chooser = own_active;
	uint8_t first = choice == 3 || KINDS[own_kind[own_active]].speed >= KINDS[foe_kind[foe_active]].speed;
	if (!first) foe_turn();
	if (result == UNDECIDED && own_active == chooser) act(choice); // one that has fallen acts no more
	if (result == UNDECIDED && !foe_fallen() && first) foe_turn();
}

static void set_up(void) {
	uint8_t number_of_them = encounter < 12 ? 1 : encounter < 26 ? 2 : 3;
	if (in_battle == WILD) number_of_them = 1;
	foe_level = in_battle == WILD ? 4 + encounter / 3 : 4 + encounter / 2;
	own_count = in_battle == WILD ? 1 : number_of_them;
	foe_count = number_of_them;
	for (uint8_t i = 0; i < TEAM; i++) {
		own_kind[i] = in_battle == WILD ? MOOR : (encounter + i) % 3; // against a wild one, no type is at a loss
		foe_kind[i] = (uint8_t)(encounter * 5 + i * 2 + encounter / 6) % 6;
		own_most[i] = own_hp[i] = i < own_count ? KINDS[own_kind[i]].health + OWN_LEVEL * 2 : 0;
		foe_most[i] = foe_hp[i] = i < foe_count ? KINDS[foe_kind[i]].health + foe_level * 2 : 0;
	}
	own_active = foe_active = cursor = 0;
	capsules = CAPSULES;
	result = UNDECIDED;
}

static void play(void) {
	clear();
	set_up();
	send_foe();
	send_own();
	say(in_battle == WILD ? "A WILD ONE!" : "A RIVAL!", KINDS[foe_kind[0]].name);
	while (result == UNDECIDED) turn();
	in_battle = NOWHERE;
	say(result == WON ? "YOU WIN!" : result == CAUGHT ? "WELL DONE!" : result == LOST ? "YOU LOSE." : "IT IS GONE.", "");
	phase = ENDED;
}

void main(void) {
	screen_init(duel_art, (uint8_t)FIRST_TILE, DUEL_ART_COUNT);
	for (;;) {
		clear();
		phase = TITLE;
		load_tiles(creatures_art, OWN_TILES, CREATURE_TILES);
		load_tiles(creatures_art + CREATURE_TILES * 16 * 2, FOE_TILES, CREATURE_TILES);
		show(2, 6, OWN_TILES, 1);
		show(12, 6, FOE_TILES, 1);
		text(8, 3, "DUEL");
		text(2, 14, "START   BATTLE");
		text(2, 16, "SELECT  CATCH");
		wanted_mode = NOWHERE;
		while (!wanted_mode) {
			next_frame();
			if (pressed & START) wanted_mode = BATTLE;
			if (pressed & SELECT) wanted_mode = WILD;
		}
		in_battle = wanted_mode;
		play();
		if (result == WON || result == CAUGHT) encounter++;
		if (encounter >= (wanted_mode == WILD ? LAST_CATCH : LAST_BATTLE)) encounter = 0;
	}
}
