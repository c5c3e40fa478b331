#include "go_asm.h"
#include "textflag.h"

// The factors of the query's planes: 128 for the first, 1 for the second.
DATA factors<>+0(SB)/4, $0x00800080
DATA factors<>+4(SB)/4, $0x00010001
GLOBL factors<>(SB), RODATA|NOPTR, $8

// The bits of the upper and lower halves of bytes.
DATA halves<>+0(SB)/4, $0xf0f0f0f0
DATA halves<>+4(SB)/4, $0x0f0f0f0f
GLOBL halves<>(SB), RODATA|NOPTR, $8

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

// MULADD2 adds the products of the 32 codes in codes and the planes' values at CX × 2 + at to acc. Pairs of products fit into 16 bits.
#define MULADD2(codes, at, acc) \
	VPMADDUBSW at(AX)(CX*2), codes, Y10 \
	VPMADDUBSW at(BX)(CX*2), codes, Y11 \
	VPMADDWD   Y14, Y10, Y10            \
	VPMADDWD   Y15, Y11, Y11            \
	VPADDD     Y10, acc, acc            \
	VPADDD     Y11, acc, acc

// WHOLE2 adds the products of the 64 codes whose halves are in the 32 bytes at row + CX + at and at SI + CX + at.
#define WHOLE2(row, at, acc) \
	VMOVDQU at(row)(CX*1), Y6 \
	VMOVDQU at(SI)(CX*1), Y8  \
	VPSLLW  $4, Y6, Y7        \
	VPSRLW  $4, Y8, Y9        \
	VPAND   Y12, Y6, Y6       \
	VPAND   Y12, Y7, Y7       \
	VPAND   Y13, Y8, Y8       \
	VPAND   Y13, Y9, Y9       \
	VPOR    Y7, Y8, Y8        \
	VPOR    Y6, Y9, Y9        \
	MULADD2(Y8, at, acc)      \
	MULADD2(Y9, at+64, acc)

// ROW2 adds the products of a row's codes and the planes to acc; DX is how far the lower halves lie behind the upper ones.
#define ROW2(row, acc, more) \
	XORQ       CX, CX             \
	LEAQ       (row)(DX*1), SI    \
more: \
	PREFETCHT1 AHEAD(row)(CX*1)   \
	PREFETCHT1 AHEAD(SI)(CX*1)    \
	WHOLE2(row, 0, acc)           \
	WHOLE2(row, 32, acc)          \
	ADDQ       $64, CX            \
	CMPQ       CX, R13            \
	JLT        more

// func sumsAVX2(high, low *byte, plane, rows int, planes *int8, sums *int32)
TEXT ·sumsAVX2(SB), NOSPLIT, $0-48
	MOVQ high+0(FP), SI
	MOVQ low+8(FP), DX
	MOVQ plane+16(FP), R13
	MOVQ rows+24(FP), R12
	MOVQ planes+32(FP), AX
	MOVQ sums+40(FP), DI
	SUBQ SI, DX
	LEAQ (AX)(R13*2), BX
	VPBROADCASTD halves<>+0(SB), Y12
	VPBROADCASTD halves<>+4(SB), Y13
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

// ROW1 adds the products of the upper halves of a row's codes and the values to acc. Four of them fit into 16 bits twice over (8 × 15 × 127 < 2¹⁵).
#define ROW1(row, acc, more) \
	XORQ       CX, CX                   \
more: \
	PREFETCHT1 AHEAD(row)(CX*1)         \
	VMOVDQU    (row)(CX*1), Y6          \
	VMOVDQU    32(row)(CX*1), Y8        \
	VPSRLW     $4, Y6, Y7               \
	VPSRLW     $4, Y8, Y9               \
	VPAND      Y13, Y6, Y6              \
	VPAND      Y13, Y7, Y7              \
	VPAND      Y13, Y8, Y8              \
	VPAND      Y13, Y9, Y9              \
	VPMADDUBSW (AX)(CX*2), Y6, Y6       \
	VPMADDUBSW 32(AX)(CX*2), Y8, Y8     \
	VPMADDUBSW 64(AX)(CX*2), Y7, Y7     \
	VPMADDUBSW 96(AX)(CX*2), Y9, Y9     \
	VPADDW     Y8, Y6, Y6               \
	VPADDW     Y9, Y7, Y7               \
	VPADDW     Y7, Y6, Y6               \
	VPMADDWD   Y15, Y6, Y6              \
	VPADDD     Y6, acc, acc             \
	ADDQ       $64, CX                  \
	CMPQ       CX, R13                  \
	JLT        more

// func skimAVX2(high *byte, plane, rows int, values *int8, sums *int32)
TEXT ·skimAVX2(SB), NOSPLIT, $0-40
	MOVQ high+0(FP), SI
	MOVQ plane+8(FP), R13
	MOVQ rows+16(FP), R12
	MOVQ values+24(FP), AX
	MOVQ sums+32(FP), DI
	VPBROADCASTD halves<>+4(SB), Y13
	VPBROADCASTD factors<>+4(SB), Y15

next:
	ROWS
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	ROW1(R8, Y0, one)
	ROW1(R9, Y1, two)
	ROW1(R10, Y2, three)
	ROW1(R11, Y3, four)
	SUM4
	STORE4(next, done)

// DOT2 adds the products of a row's codes and the two planes to hi and lo. The ternary operation takes the bits of Z22 from the operand behind the
// target and the others from the one before: codes of one half of the line are in Z20 then, those of the other in Z18.
#define DOT2(row, hi, lo, more) \
	XORQ       CX, CX                  \
	LEAQ       (row)(DX*1), SI         \
more: \
	PREFETCHT1 AHEAD(row)(CX*1)        \
	PREFETCHT1 AHEAD(SI)(CX*1)         \
	VMOVDQU8   (row)(CX*1), Z18        \
	VMOVDQU8   (SI)(CX*1), Z19         \
	VPSLLW     $4, Z18, Z20            \
	VPSRLW     $4, Z19, Z21            \
	VPTERNLOGD $0xe4, Z22, Z19, Z20    \
	VPTERNLOGD $0xe4, Z22, Z21, Z18    \
	VPDPBUSD   (AX)(CX*2), Z20, hi     \
	VPDPBUSD   (BX)(CX*2), Z20, lo     \
	VPDPBUSD   64(AX)(CX*2), Z18, hi   \
	VPDPBUSD   64(BX)(CX*2), Z18, lo   \
	ADDQ       $64, CX                 \
	CMPQ       CX, R13                 \
	JLT        more

// DOT1 adds the products of the upper halves of a row's codes and the values to acc.
#define DOT1(row, acc, more) \
	XORQ       CX, CX                  \
more: \
	PREFETCHT1 AHEAD(row)(CX*1)        \
	VMOVDQU8   (row)(CX*1), Z18        \
	VPSRLW     $4, Z18, Z19            \
	VPANDD     Z22, Z18, Z18           \
	VPANDD     Z22, Z19, Z19           \
	VPDPBUSD   (AX)(CX*2), Z18, acc    \
	VPDPBUSD   64(AX)(CX*2), Z19, acc  \
	ADDQ       $64, CX                 \
	CMPQ       CX, R13                 \
	JLT        more

// FOLD makes acc, the lower half of hi, the eight numbers that are the two halves of 128 × hi + lo together.
#define FOLD(hi, lo, acc, half) \
	VPSLLD        $7, hi, hi   \
	VPADDD        lo, hi, hi   \
	VEXTRACTI64X4 $1, hi, half \
	VPADDD        half, acc, acc

// func sumsAVX512(high, low *byte, plane, rows int, planes *int8, sums *int32)
TEXT ·sumsAVX512(SB), NOSPLIT, $0-48
	MOVQ high+0(FP), SI
	MOVQ low+8(FP), DX
	MOVQ plane+16(FP), R13
	MOVQ rows+24(FP), R12
	MOVQ planes+32(FP), AX
	MOVQ sums+40(FP), DI
	SUBQ SI, DX
	LEAQ (AX)(R13*2), BX
	VPBROADCASTD halves<>+0(SB), Z22

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

// JOIN makes sum, the lower half of acc, the eight numbers that are its two halves together.
#define JOIN(acc, sum, half) \
	VEXTRACTI64X4 $1, acc, half \
	VPADDD        half, sum, sum

// func skimAVX512(high *byte, plane, rows int, values *int8, sums *int32)
TEXT ·skimAVX512(SB), NOSPLIT, $0-40
	MOVQ high+0(FP), SI
	MOVQ plane+8(FP), R13
	MOVQ rows+16(FP), R12
	MOVQ values+24(FP), AX
	MOVQ sums+32(FP), DI
	VPBROADCASTD halves<>+4(SB), Z22

next:
	ROWS
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	DOT1(R8, Z0, one)
	DOT1(R9, Z1, two)
	DOT1(R10, Z2, three)
	DOT1(R11, Z3, four)
	JOIN(Z0, Y0, Y8)
	JOIN(Z1, Y1, Y8)
	JOIN(Z2, Y2, Y8)
	JOIN(Z3, Y3, Y8)
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
