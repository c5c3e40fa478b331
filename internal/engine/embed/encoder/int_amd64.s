#include "textflag.h"
#include "go_asm.h"

// ---- integer GEMM, AVX-512 VNNI: tile 6 rows x 64 columns, 24 accumulators ----

#define VROW(mem, a0, a1, a2, a3) \
	VPBROADCASTD mem, Z28 \
	VPDPBUSD Z24, Z28, a0 \
	VPDPBUSD Z25, Z28, a1 \
	VPDPBUSD Z26, Z28, a2 \
	VPDPBUSD Z27, Z28, a3

#define ZERO4(a, b, c, d) \
	VPXORD a, a, a \
	VPXORD b, b, b \
	VPXORD c, c, c \
	VPXORD d, d, d

// acc -> float; out = acc*cs*scale + (lo*cw + bias)
#define VOUT(acc, off, dst) \
	VCVTDQ2PS acc, acc \
	VMOVAPS Z26, Z27 \
	VMULPS Z24, acc, acc \
	VFMADD231PS.BCST (off+4)(R15), Z25, Z27 \
	VFMADD231PS.BCST off(R15), acc, Z27 \
	VMOVUPS Z27, dst

#define VCOL(j, c0, c1, c2, c3, c4, c5) \
	MOVQ qargs_cs(AX), R14 \
	VMOVUPS (64*j)(R14), Z24 \
	MOVQ qargs_cw(AX), R14 \
	VMOVUPS (64*j)(R14), Z25 \
	MOVQ qargs_bias(AX), R14 \
	VMOVUPS (64*j)(R14), Z26 \
	MOVQ DI, R14 \
	VOUT(c0, 0, (64*j)(R14)) \
	ADDQ R13, R14 \
	VOUT(c1, 8, (64*j)(R14)) \
	ADDQ R13, R14 \
	VOUT(c2, 16, (64*j)(R14)) \
	ADDQ R13, R14 \
	VOUT(c3, 24, (64*j)(R14)) \
	ADDQ R13, R14 \
	VOUT(c4, 32, (64*j)(R14)) \
	ADDQ R13, R14 \
	VOUT(c5, 40, (64*j)(R14))

// func gemmVNNI(p *qargs)
TEXT ·gemmVNNI(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), AX
	MOVQ qargs_a(AX), SI
	MOVQ qargs_lda(AX), R8
	LEAQ (R8)(R8*2), R9
	LEAQ (R8)(R8*4), R10
	MOVQ qargs_w(AX), BX
	MOVQ qargs_wps(AX), R11
	LEAQ (R11)(R11*2), R12
	MOVQ qargs_c(AX), DI
	MOVQ qargs_ldc(AX), R13
	MOVQ qargs_mt(AX), DX
	MOVQ qargs_rq(AX), R15
	PCALIGN $32
vtile:
	ZERO4(Z0, Z1, Z2, Z3)
	ZERO4(Z4, Z5, Z6, Z7)
	ZERO4(Z8, Z9, Z10, Z11)
	ZERO4(Z12, Z13, Z14, Z15)
	ZERO4(Z16, Z17, Z18, Z19)
	ZERO4(Z20, Z21, Z22, Z23)
	MOVQ BX, R14
	MOVQ qargs_k4(AX), CX
	MOVQ SI, R15
	PCALIGN $32
vloop:
	VMOVDQU32 (R14), Z24
	VMOVDQU32 (R14)(R11*1), Z25
	VMOVDQU32 (R14)(R11*2), Z26
	VMOVDQU32 (R14)(R12*1), Z27
	VROW((R15), Z0, Z1, Z2, Z3)
	VROW((R15)(R8*1), Z4, Z5, Z6, Z7)
	VROW((R15)(R8*2), Z8, Z9, Z10, Z11)
	VROW((R15)(R9*1), Z12, Z13, Z14, Z15)
	VROW((R15)(R8*4), Z16, Z17, Z18, Z19)
	VROW((R15)(R10*1), Z20, Z21, Z22, Z23)
	ADDQ $4, R15
	ADDQ $64, R14
	DECQ CX
	JNZ vloop
	MOVQ qargs_rq(AX), R15
	VCOL(0, Z0, Z4, Z8, Z12, Z16, Z20)
	VCOL(1, Z1, Z5, Z9, Z13, Z17, Z21)
	VCOL(2, Z2, Z6, Z10, Z14, Z18, Z22)
	VCOL(3, Z3, Z7, Z11, Z15, Z19, Z23)
	LEAQ (SI)(R9*2), SI
	ADDQ $48, qargs_rq(AX)
	LEAQ (DI)(R13*4), DI
	LEAQ (DI)(R13*2), DI
	DECQ DX
	JNZ vtile
	// the caller reuses p for the next panel: restore rq
	MOVQ qargs_mt(AX), DX
	IMULQ $48, DX
	SUBQ DX, qargs_rq(AX)
	VZEROUPPER
	RET

// ---- integer GEMM, AVX2: tile 4 rows x 16 columns ----
// uint8 activations x 7-bit weights: 255*63*2 < 32768, so VPMADDUBSW never saturates.

#define AROW(mem, a0, a1) \
	VPBROADCASTD mem, Y10 \
	VPMADDUBSW Y8, Y10, Y11 \
	VPMADDUBSW Y9, Y10, Y12 \
	VPMADDWD Y15, Y11, Y11 \
	VPMADDWD Y15, Y12, Y12 \
	VPADDD Y11, a0, a0 \
	VPADDD Y12, a1, a1

#define AOUT(acc, off, dst) \
	VCVTDQ2PS acc, acc \
	VMULPS Y8, acc, acc \
	VBROADCASTSS (off+4)(R15), Y11 \
	VFMADD213PS Y10, Y9, Y11 \
	VBROADCASTSS off(R15), Y12 \
	VFMADD231PS Y12, acc, Y11 \
	VMOVUPS Y11, dst

#define ACOL(j, c0, c1, c2, c3) \
	MOVQ qargs_cs(AX), R14 \
	VMOVUPS (32*j)(R14), Y8 \
	MOVQ qargs_cw(AX), R14 \
	VMOVUPS (32*j)(R14), Y9 \
	MOVQ qargs_bias(AX), R14 \
	VMOVUPS (32*j)(R14), Y10 \
	MOVQ DI, R14 \
	AOUT(c0, 0, (32*j)(R14)) \
	ADDQ R13, R14 \
	AOUT(c1, 8, (32*j)(R14)) \
	ADDQ R13, R14 \
	AOUT(c2, 16, (32*j)(R14)) \
	ADDQ R13, R14 \
	AOUT(c3, 24, (32*j)(R14))

// func gemmAVX2(p *qargs)
TEXT ·gemmAVX2(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), AX
	MOVQ qargs_a(AX), SI
	MOVQ qargs_lda(AX), R8
	LEAQ (R8)(R8*2), R9
	MOVQ qargs_w(AX), BX
	MOVQ qargs_c(AX), DI
	MOVQ qargs_ldc(AX), R13
	MOVQ qargs_mt(AX), DX
	MOVQ qargs_rq(AX), R10
	VPCMPEQW Y15, Y15, Y15
	VPSRLW $15, Y15, Y15
	PCALIGN $32
atile:
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7
	MOVQ BX, R14
	MOVQ qargs_k4(AX), CX
	MOVQ SI, R15
	PCALIGN $32
aloop:
	VMOVDQU (R14), Y8
	VMOVDQU 32(R14), Y9
	AROW((R15), Y0, Y1)
	AROW((R15)(R8*1), Y2, Y3)
	AROW((R15)(R8*2), Y4, Y5)
	AROW((R15)(R9*1), Y6, Y7)
	ADDQ $4, R15
	ADDQ $64, R14
	DECQ CX
	JNZ aloop
	MOVQ R10, R15
	ACOL(0, Y0, Y2, Y4, Y6)
	ACOL(1, Y1, Y3, Y5, Y7)
	LEAQ (SI)(R8*4), SI
	ADDQ $32, R10
	LEAQ (DI)(R13*4), DI
	DECQ DX
	JNZ atile
	VZEROUPPER
	RET

// ---- integer GEMM, AVX-VNNI (client CPUs without AVX-512): tile 6 rows x 16 columns ----
// The assembler knows only the EVEX form of VPDPBUSD, so the VEX form is spelled in bytes.

#define LMUL(acc) \
	VCVTDQ2PS acc, acc \
	VMULPS Y12, acc, acc

#define LOUT(acc, off, dst) \
	VBROADCASTSS (off+4)(R11), Y15 \
	VFMADD213PS Y14, Y13, Y15 \
	VBROADCASTSS off(R11), Y12 \
	VFMADD231PS Y12, acc, Y15 \
	VMOVUPS Y15, dst

// func gemmAVXVNNI(p *qargs)
TEXT ·gemmAVXVNNI(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), AX
	MOVQ qargs_a(AX), SI
	MOVQ qargs_lda(AX), R8
	LEAQ (R8)(R8*2), R9
	LEAQ (R8)(R8*4), R10
	MOVQ qargs_w(AX), BX
	MOVQ qargs_c(AX), DI
	MOVQ qargs_ldc(AX), R13
	MOVQ qargs_mt(AX), DX
	MOVQ qargs_rq(AX), R11
	PCALIGN $32
ltile:
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7
	VPXOR Y8, Y8, Y8
	VPXOR Y9, Y9, Y9
	VPXOR Y10, Y10, Y10
	VPXOR Y11, Y11, Y11
	MOVQ BX, R14
	MOVQ qargs_k4(AX), CX
	MOVQ SI, R15
	PCALIGN $32
lloop:
	VMOVDQU (R14), Y12
	VMOVDQU 32(R14), Y13
	VPBROADCASTD (R15), Y14
	BYTE $0xC4; BYTE $0xC2; BYTE $0x0D; BYTE $0x50; BYTE $0xC4 // VPDPBUSD Y12, Y14, Y0
	BYTE $0xC4; BYTE $0xC2; BYTE $0x0D; BYTE $0x50; BYTE $0xCD // VPDPBUSD Y13, Y14, Y1
	VPBROADCASTD (R15)(R8*1), Y14
	BYTE $0xC4; BYTE $0xC2; BYTE $0x0D; BYTE $0x50; BYTE $0xD4 // VPDPBUSD Y12, Y14, Y2
	BYTE $0xC4; BYTE $0xC2; BYTE $0x0D; BYTE $0x50; BYTE $0xDD // VPDPBUSD Y13, Y14, Y3
	VPBROADCASTD (R15)(R8*2), Y14
	BYTE $0xC4; BYTE $0xC2; BYTE $0x0D; BYTE $0x50; BYTE $0xE4 // VPDPBUSD Y12, Y14, Y4
	BYTE $0xC4; BYTE $0xC2; BYTE $0x0D; BYTE $0x50; BYTE $0xED // VPDPBUSD Y13, Y14, Y5
	VPBROADCASTD (R15)(R9*1), Y14
	BYTE $0xC4; BYTE $0xC2; BYTE $0x0D; BYTE $0x50; BYTE $0xF4 // VPDPBUSD Y12, Y14, Y6
	BYTE $0xC4; BYTE $0xC2; BYTE $0x0D; BYTE $0x50; BYTE $0xFD // VPDPBUSD Y13, Y14, Y7
	VPBROADCASTD (R15)(R8*4), Y14
	BYTE $0xC4; BYTE $0x42; BYTE $0x0D; BYTE $0x50; BYTE $0xC4 // VPDPBUSD Y12, Y14, Y8
	BYTE $0xC4; BYTE $0x42; BYTE $0x0D; BYTE $0x50; BYTE $0xCD // VPDPBUSD Y13, Y14, Y9
	VPBROADCASTD (R15)(R10*1), Y14
	BYTE $0xC4; BYTE $0x42; BYTE $0x0D; BYTE $0x50; BYTE $0xD4 // VPDPBUSD Y12, Y14, Y10
	BYTE $0xC4; BYTE $0x42; BYTE $0x0D; BYTE $0x50; BYTE $0xDD // VPDPBUSD Y13, Y14, Y11
	ADDQ $4, R15
	ADDQ $64, R14
	DECQ CX
	JNZ lloop
	MOVQ qargs_cs(AX), R14
	VMOVUPS 0(R14), Y12
	MOVQ qargs_cw(AX), R14
	VMOVUPS 0(R14), Y13
	MOVQ qargs_bias(AX), R14
	VMOVUPS 0(R14), Y14
	MOVQ DI, R14
	LMUL(Y0)
	LMUL(Y2)
	LMUL(Y4)
	LMUL(Y6)
	LMUL(Y8)
	LMUL(Y10)
	LOUT(Y0, 0, 0(R14))
	ADDQ R13, R14
	LOUT(Y2, 8, 0(R14))
	ADDQ R13, R14
	LOUT(Y4, 16, 0(R14))
	ADDQ R13, R14
	LOUT(Y6, 24, 0(R14))
	ADDQ R13, R14
	LOUT(Y8, 32, 0(R14))
	ADDQ R13, R14
	LOUT(Y10, 40, 0(R14))
	MOVQ qargs_cs(AX), R14
	VMOVUPS 32(R14), Y12
	MOVQ qargs_cw(AX), R14
	VMOVUPS 32(R14), Y13
	MOVQ qargs_bias(AX), R14
	VMOVUPS 32(R14), Y14
	MOVQ DI, R14
	LMUL(Y1)
	LMUL(Y3)
	LMUL(Y5)
	LMUL(Y7)
	LMUL(Y9)
	LMUL(Y11)
	LOUT(Y1, 0, 32(R14))
	ADDQ R13, R14
	LOUT(Y3, 8, 32(R14))
	ADDQ R13, R14
	LOUT(Y5, 16, 32(R14))
	ADDQ R13, R14
	LOUT(Y7, 24, 32(R14))
	ADDQ R13, R14
	LOUT(Y9, 32, 32(R14))
	ADDQ R13, R14
	LOUT(Y11, 40, 32(R14))
	LEAQ (SI)(R9*2), SI
	ADDQ $48, R11
	LEAQ (DI)(R13*4), DI
	LEAQ (DI)(R13*2), DI
	DECQ DX
	JNZ ltile
	VZEROUPPER
	RET
