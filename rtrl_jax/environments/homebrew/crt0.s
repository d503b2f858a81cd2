; Start-up of our Game Boy games: header, vertical-blank interrupt, a stack, and the jump to main().
	.module crt0
	.globl	_main
	.globl	_frame_passed

	.area	_HEADER (ABS)
	.org	0x40			; vertical blank
	push	af
	ld	a, #1
	ld	(_frame_passed), a
	pop	af
	reti

	.org	0x100			; where the machine begins
	nop
	jp	start

	.org	0x150
start:
	di
	ld	sp, #0xE000
	xor	a
	ld	hl, #0xC000		; all of work RAM is 0 at the start
	ld	bc, #0x1F00
clear:
	ld	(hl), #0
	inc	hl
	dec	bc
	ld	a, b
	or	c
	jr	nz, clear
	call	_main
stop:
	halt
	nop
	jr	stop

	.area	_CODE
	.area	_HOME
	.area	_GSINIT
	.area	_GSFINAL
	.area	_DATA
	.area	_BSS
	.area	_INITIALIZED
	.area	_INITIALIZER
