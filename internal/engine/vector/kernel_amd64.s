#include "go_asm.h"
#include "textflag.h"

// The factors of the query's planes: 128 for the first, 1 for the second.
DATA factors<>+0(SB)/4, $0x00800080
DATA factors<>+4(SB)/4, $0x00010001
GLOBL factors<>(SB), RODATA|NOPTR, $8

// ROWS sets R8 to R11 to the next four rows. Behind the last row it takes that again, so that nothing is read that is not there;
// what comes out for it is not stored.
//	SI: first row, R13: stride, R12: rows left (above 0)
#define ROWS \
	MOVQ    SI, R8            \
	LEAQ    (R8)(R13*1), R9   \
	CMPQ    R12, $2           \
	CMOVQLT R8, R9            \
	LEAQ    (R9)(R13*1), R10  \
	CMPQ    R12, $3           \
	CMOVQLT R9, R10           \
	LEAQ    (R10)(R13*1), R11 \
	CMPQ    R12, $4           \
	CMOVQLT R10, R11

// AHEAD is how far in front of what is multiplied the memory is fetched, in bytes. It may be beyond the end, where a prefetch does
// nothing. Rows are read one after the other, as they lie, and into the second cache: four rows at a time, or prefetches
// past the caches (PREFETCHNTA), let Intel's processors read half as much a second, at 6 to 7 of 13 GB/s.
#define AHEAD 4096

// SUM4 adds up each of Y0 to Y3 into the four numbers of X0.
#define SUM4 \
	VPHADDD      Y1, Y0, Y0 \
	VPHADDD      Y3, Y2, Y2 \
	VPHADDD      Y2, Y0, Y0 \
	VEXTRACTI128 $1, Y0, X1 \
	VPADDD       X1, X0, X0

// STORE4 stores X0 at DI as far as there are rows, and goes on to the next four. It ends at done.
#define STORE4(next, done) \
	CMPQ    R12, $4       \
	JLT     tail          \
	VMOVDQU X0, (DI)      \
	ADDQ    $16, DI       \
	LEAQ    (R11)(R13*1), SI \
	SUBQ    $4, R12       \
	JNZ     next          \
	JMP     done          \
tail: \
	VMOVD   X0, (DI)      \
	VPSRLDQ $4, X0, X0    \
	ADDQ    $4, DI        \
	DECQ    R12           \
	JNZ     tail          \
done: \
	VZEROUPPER            \
	RET

// MULADD2 adds the products of the 32 codes at row + CX + at and the planes to acc. Pairs of products fit into 16 bits.
#define MULADD2(row, at, acc) \
	VMOVDQU    at(row)(CX*1), Y6    \
	VPMADDUBSW at(AX)(CX*1), Y6, Y7 \
	VPMADDUBSW at(BX)(CX*1), Y6, Y6 \
	VPMADDWD   Y14, Y7, Y7          \
	VPMADDWD   Y15, Y6, Y6          \
	VPADDD     Y7, acc, acc         \
	VPADDD     Y6, acc, acc

// ROW2 adds the products of a row's codes and the planes to acc.
#define ROW2(row, acc, more) \
	XORQ       CX, CX             \
more: \
	PREFETCHT1 AHEAD(row)(CX*1)   \
	MULADD2(row, 0, acc)          \
	MULADD2(row, 32, acc)         \
	ADDQ       $64, CX            \
	CMPQ       CX, R13            \
	JLT        more

// func sumsAVX2(codes *byte, stride, rows int, planes *int8, sums *int32)
TEXT ·sumsAVX2(SB), NOSPLIT, $0-40
	MOVQ codes+0(FP), SI
	MOVQ stride+8(FP), R13
	MOVQ rows+16(FP), R12
	MOVQ planes+24(FP), AX
	MOVQ sums+32(FP), DI
	LEAQ (AX)(R13*1), BX
	VPBROADCASTD factors<>+0(SB), Y14
	VPBROADCASTD factors<>+4(SB), Y15

next:
	ROWS
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	ROW2(R8, Y0, one)
	ROW2(R9, Y1, two)
	ROW2(R10, Y2, three)
	ROW2(R11, Y3, four)
	SUM4
	STORE4(next, done)

// DOT2 adds the products of a row's codes and the two planes to hi and lo.
#define DOT2(row, hi, lo, more) \
	XORQ     CX, CX                  \
more: \
	PREFETCHT1 AHEAD(row)(CX*1)      \
	VMOVDQU8 (row)(CX*1), Z18        \
	VPDPBUSD (AX)(CX*1), Z18, hi     \
	VPDPBUSD (BX)(CX*1), Z18, lo     \
	ADDQ     $64, CX                 \
	CMPQ     CX, R13                 \
	JLT      more

// FOLD makes acc, the lower half of hi, the eight numbers that are the two halves of 128 × hi + lo together.
#define FOLD(hi, lo, acc, half) \
	VPSLLD        $7, hi, hi   \
	VPADDD        lo, hi, hi   \
	VEXTRACTI64X4 $1, hi, half \
	VPADDD        half, acc, acc

// func sumsAVX512(codes *byte, stride, rows int, planes *int8, sums *int32)
TEXT ·sumsAVX512(SB), NOSPLIT, $0-40
	MOVQ codes+0(FP), SI
	MOVQ stride+8(FP), R13
	MOVQ rows+16(FP), R12
	MOVQ planes+24(FP), AX
	MOVQ sums+32(FP), DI
	LEAQ (AX)(R13*1), BX

next:
	ROWS
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	DOT2(R8, Z0, Z4, one)
	DOT2(R9, Z1, Z5, two)
	DOT2(R10, Z2, Z6, three)
	DOT2(R11, Z3, Z7, four)
	FOLD(Z0, Z4, Y0, Y8)
	FOLD(Z1, Z5, Y1, Y8)
	FOLD(Z2, Z6, Y2, Y8)
	FOLD(Z3, Z7, Y3, Y8)
	SUM4
	STORE4(next, done)

// func siftAVX2(sums *int32, scales, residuals *byte, groups int, l *limit, mask *byte)
TEXT ·siftAVX2(SB), NOSPLIT, $0-48
	MOVQ sums+0(FP), SI
	MOVQ scales+8(FP), R8
	MOVQ residuals+16(FP), R9
	MOVQ groups+24(FP), CX
	MOVQ l+32(FP), R10
	MOVQ mask+40(FP), DI
	VPBROADCASTD limit_shift(R10), Y4
	VBROADCASTSS limit_residual(R10), Y5
	VBROADCASTSS limit_floor(R10), Y6

sift:
	VMOVDQU   (SI), Y0
	VPSUBD    Y4, Y0, Y0
	VCVTDQ2PS Y0, Y0
	VMULPS    (R8), Y0, Y0
	VMULPS    (R9), Y5, Y1
	VADDPS    Y1, Y0, Y0
	VCMPPS    $0x1d, Y6, Y0, Y0 // greater or equal, false for NaN
	VMOVMSKPS Y0, AX
	MOVB      AX, (DI)
	ADDQ      $32, SI
	ADDQ      $32, R8
	ADDQ      $32, R9
	INCQ      DI
	DECQ      CX
	JNZ       sift
	VZEROUPPER
	RET
