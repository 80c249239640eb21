/* Answers rows with a compiled graph: see native.py, which compiles it and checks every index.

   A graph is a list of operations on registers, each of which holds some numbers of each row of a
   block. Sums run in the order of training, and nothing is fused: the same bits on each machine. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

enum { COPY, ADD, SUB, MUL, DIV, MAX, MIN, SQRT, LOG, SINGLE, SUM, CUMSUM, LOOKUP, GEMM, TREES, SMALL };
enum { BLOCK = 32, LANES = 8, ROWS = 4, COLUMNS = 8, LEAVES = 48 };
enum { NO_MEMORY = 1, NOBODY = 2 }; /* what may go wrong */

typedef double Four __attribute__((vector_size(32), aligned(8), may_alias));
typedef int64_t Masks __attribute__((vector_size(32), aligned(8), may_alias));

typedef struct {
    int64_t where;  /* the register's place in a row's memory, or -1 for constants */
    int64_t stride; /* numbers of a row in it */
    int64_t map;    /* where the places of the numbers taken begin among the maps */
} Operand;

typedef struct {
    int64_t code;
    int64_t out, stride, at; /* the register, its numbers a row, and the first one written */
    int64_t size;            /* numbers written, a row */
    Operand a, b;
    int64_t n, m, k; /* SUM: a group's size. CUMSUM: the axis, and within it. LOOKUP: the table, its
                        columns and rows. GEMM: the inputs, and the weights. TREES, SMALL: the first tree, and how many */
} Op;

typedef struct {
    double split;
    int32_t feature, left; /* the right child stands behind the left; a leaf is its own child */
} Node;

typedef struct {
    double split;
    uint64_t word; /* the leaves to its left, a bit each, and above these the feature */
} Mark;

typedef struct {
    /* numbers a row: in all registers, in rows, in which, in the answer */
    int64_t ops, memory, columns, looked, answers;
    const Op *op;
    const double *constants;
    const int32_t *maps, *roots, *depths;
    const Node *nodes;
    const double *leaves;
    const int32_t *marked, *valued; /* where each small tree's begin; and where all end */
    const Mark *marks;
    const double *values;
} Program;

static void each(const Op *op, const double *a, const int32_t *ia, const double *b,
                 const int32_t *ib, double *out)
{
    int64_t j, size = op->size;
    switch (op->code) {
    case COPY: for (j = 0; j < size; j++) out[j] = a[ia[j]]; break;
    case ADD: for (j = 0; j < size; j++) out[j] = a[ia[j]] + b[ib[j]]; break;
    case SUB: for (j = 0; j < size; j++) out[j] = a[ia[j]] - b[ib[j]]; break;
    case MUL: for (j = 0; j < size; j++) out[j] = a[ia[j]] * b[ib[j]]; break;
    case DIV: for (j = 0; j < size; j++) out[j] = a[ia[j]] / b[ib[j]]; break;
    case MAX: for (j = 0; j < size; j++) { double x = a[ia[j]], y = b[ib[j]]; out[j] = x < y ? y : x; } break;
    case MIN: for (j = 0; j < size; j++) { double x = a[ia[j]], y = b[ib[j]]; out[j] = y < x ? y : x; } break;
    case SQRT: for (j = 0; j < size; j++) out[j] = sqrt(a[ia[j]]); break;
    case LOG: for (j = 0; j < size; j++) out[j] = log(a[ia[j]]); break;
    case SINGLE: for (j = 0; j < size; j++) out[j] = (float)a[ia[j]]; break;
    case SUM:
        for (j = 0; j < size; j++) {
            double total = a[ia[j * op->n]];
            for (int64_t i = 1; i < op->n; i++) total += a[ia[j * op->n + i]];
            out[j] = total;
        }
        break;
    case CUMSUM:
        for (j = 0; j < size; j++)
            out[j] = (j / op->m) % op->n ? out[j - op->m] + a[ia[j]] : a[ia[j]];
        break;
    }
}

/* Each product is added to its sum in the order of the inputs, whatever is computed beside it. */
static inline __attribute__((always_inline)) void tile(
    int rows, int64_t inputs, int64_t outputs, const double *const x[ROWS], const double *weights,
    double *const out[ROWS])
{
    Four low[ROWS] = {{0}}, high[ROWS] = {{0}}; /* stay in the processor's registers */
    for (int64_t i = 0; i < inputs; i++, weights += outputs) {
        Four left = *(const Four *)weights, right = *(const Four *)(weights + 4);
        for (int r = 0; r < rows; r++) {
            low[r] += x[r][i] * left;
            high[r] += x[r][i] * right;
        }
    }
    for (int r = 0; r < rows; r++) {
        *(Four *)out[r] = low[r];
        *(Four *)(out[r] + 4) = high[r];
    }
}

WIDE static void gemm(const Op *op, int64_t count, const double *x, int64_t wide,
                      const double *weights, double *out)
{
    int64_t inputs = op->n, outputs = op->size, row = 0, column;
    for (; row < count; row += ROWS) {
        const double *from[ROWS];
        double *to[ROWS];
        int rows = count - row < ROWS ? count - row : ROWS;
        for (int r = 0; r < rows; r++) from[r] = x + (row + r) * wide;
        for (column = 0; column + COLUMNS <= outputs; column += COLUMNS) {
            for (int r = 0; r < rows; r++) to[r] = out + (row + r) * op->stride + column;
            if (rows == ROWS)
                tile(ROWS, inputs, outputs, from, weights + column, to);
            else
                for (int r = 0; r < rows; r++) tile(1, inputs, outputs, from + r, weights + column, to + r);
        }
        for (; column < outputs; column++)
            for (int r = 0; r < rows; r++) {
                double total = 0.0;
                for (int64_t i = 0; i < inputs; i++) total += from[r][i] * weights[i * outputs + column];
                out[(row + r) * op->stride + column] = total;
            }
    }
}

static void descend(const Node *nodes, int32_t depth, const double *const x[LANES], int32_t at[LANES])
{
    int32_t a0 = at[0], a1 = at[1], a2 = at[2], a3 = at[3], a4 = at[4], a5 = at[5], a6 = at[6], a7 = at[7];
    const double *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3], *x4 = x[4], *x5 = x[5], *x6 = x[6], *x7 = x[7];
#define STEP(a, x) a = nodes[a].left + (x[nodes[a].feature] > nodes[a].split)
    while (depth-- > 0) { /* eight at once, without a branch: the waits for memory overlap */
        STEP(a0, x0); STEP(a1, x1); STEP(a2, x2); STEP(a3, x3);
        STEP(a4, x4); STEP(a5, x5); STEP(a6, x6); STEP(a7, x7);
    }
    at[0] = a0; at[1] = a1; at[2] = a2; at[3] = a3; at[4] = a4; at[5] = a5; at[6] = a6; at[7] = a7;
}

static void trees(const Program *p, const Op *op, int64_t count, const double *x, int64_t wide, double *out)
{
    const int32_t *roots = p->roots + op->n, *depths = p->depths + op->n;
    const double *lane[LANES];
    int32_t at[LANES];
    int64_t row = 0, whole = count - count % LANES;
    double totals[BLOCK] = {0};
    for (int64_t tree = 0; tree < op->m; tree++) /* a tree at a time, and at it for eight rows */
        for (row = 0; row < whole; row += LANES) {
            for (int l = 0; l < LANES; l++) {
                lane[l] = x + (row + l) * wide;
                at[l] = roots[tree];
            }
            descend(p->nodes, depths[tree], lane, at);
            for (int l = 0; l < LANES; l++) totals[row + l] += p->leaves[at[l]];
        }
    for (row = 0; row < whole; row++) out[row * op->stride] = totals[row];
    for (; row < count; row++) { /* eight trees at a time for a row */
        double total = 0.0;
        for (int l = 0; l < LANES; l++) lane[l] = x + row * wide;
        for (int64_t tree = 0; tree < op->m; tree += LANES) {
            int64_t some = op->m - tree < LANES ? op->m - tree : LANES;
            int32_t depth = 0;
            for (int l = 0; l < LANES; l++) {
                int64_t one = tree + (l < some ? l : 0);
                at[l] = roots[one];
                if (depths[one] > depth) depth = depths[one];
            }
            descend(p->nodes, depth, lane, at);
            for (int64_t l = 0; l < some; l++) total += p->leaves[at[l]];
        }
        out[row * op->stride] = total;
    }
}

/* Small trees, for four rows times `groups`: x has a block of rows a feature. A row that exceeds a
   split is none of the leaves to its left; of those that remain it is the first. */
static inline __attribute__((always_inline)) void strike(
    const Program *p, const Op *op, int groups, const double *x, double *totals)
{
    for (int64_t tree = op->n; tree < op->n + op->m; tree++) {
        Masks alive[BLOCK / 4];
        const Mark *mark = p->marks + p->marked[tree], *end = p->marks + p->marked[tree + 1];
        const double *values = p->values + p->valued[tree];
        for (int g = 0; g < groups; g++) alive[g] = (Masks){-1, -1, -1, -1};
        for (; mark < end; mark++) {
            const double *column = x + (mark->word >> LEAVES) * BLOCK;
            int64_t word = mark->word;
            double split = mark->split;
            Masks left = {word, word, word, word};
            Four most = {split, split, split, split};
            for (int g = 0; g < groups; g++)
                alive[g] &= ~((Masks)(*(const Four *)(column + 4 * g) > most) & left);
        }
        for (int g = 0; g < groups; g++)
            for (int l = 0; l < 4; l++) totals[4 * g + l] += values[__builtin_ctzll(alive[g][l])];
    }
}

WIDE static void small(const Program *p, const Op *op, int64_t count, const double *x, int64_t wide,
                       double *turned, double *out)
{
    double totals[BLOCK] = {0};
    int groups = (count + 3) / 4;
    for (int64_t j = 0; j < wide; j++)
        for (int64_t row = 0; row < 4 * groups; row++)
            turned[j * BLOCK + row] = row < count ? x[row * wide + j] : 0.0;
    switch (groups) {
    case 1: strike(p, op, 1, turned, totals); break;
    case 2: strike(p, op, 2, turned, totals); break;
    case 3: case 4: strike(p, op, 4, turned, totals); break;
    default: strike(p, op, 8, turned, totals);
    }
    for (int64_t row = 0; row < count; row++) out[row * op->stride] = totals[row];
}

static int lookup(const Op *op, const double *table, const int64_t *which, double *out)
{
    for (int64_t j = 0; j < op->size / op->m; j++) {
        if (which[j] < 0 || which[j] >= op->k) return NOBODY; /* as for a row that is no number */
        memcpy(out + j * op->m, table + which[j] * op->m, op->m * sizeof(double));
    }
    return 0;
}

static int block(const Program *p, double *memory, double *turned, const int64_t *which, int64_t count,
                 int64_t room)
{
    for (const Op *op = p->op; op < p->op + p->ops; op++) {
        double *out = memory + op->out * room + op->at;
        const double *a = op->a.where < 0 ? p->constants : memory + op->a.where * room;
        const double *b = op->b.where < 0 ? p->constants : memory + op->b.where * room;
        int64_t as = op->a.where < 0 ? 0 : op->a.stride, bs = op->b.where < 0 ? 0 : op->b.stride;
        if (op->code == TREES) {
            trees(p, op, count, a, as, out);
            continue;
        }
        if (op->code == SMALL) {
            small(p, op, count, a, as, turned, out);
            continue;
        }
        if (op->code == GEMM) {
            gemm(op, count, a, as, p->constants + op->m, out);
            continue;
        }
        for (int64_t row = 0; row < count; row++, out += op->stride, a += as, b += bs) {
            if (op->code == LOOKUP) {
                if (lookup(op, p->constants + op->n, which + row * p->looked, out)) return NOBODY;
            } else
                each(op, a, p->maps + op->a.map, b, p->maps + op->b.map, out);
        }
    }
    return 0;
}

/* (count, answers) numbers for (count, columns) rows with their (count, looked) neighbours. The first
   register is for rows, the second for distances, the last one has the answers. 0 if all is well. */
int housing_answer(const Program *p, int64_t count, const double *rows, const double *distance,
                   const int64_t *which, double *answer)
{
    int64_t room = count < BLOCK ? count : BLOCK, widest = 0;
    for (const Op *op = p->op; op < p->op + p->ops; op++)
        if (op->code == SMALL && op->a.stride > widest) widest = op->a.stride;
    double *memory = malloc((p->memory * (room ? room : 1) + widest * BLOCK) * sizeof(double));
    if (!memory) return NO_MEMORY;
    double *turned = memory + p->memory * (room ? room : 1);
    int failed = 0;
    for (int64_t start = 0; start < count && !failed; start += room) {
        int64_t some = count - start < room ? count - start : room;
        memcpy(memory, rows + start * p->columns, some * p->columns * sizeof(double));
        if (p->looked)
            memcpy(memory + p->columns * room, distance + start * p->looked, some * p->looked * sizeof(double));
        failed = block(p, memory, turned, which + start * p->looked, some, room);
        memcpy(answer + start * p->answers, memory + (p->memory - p->answers) * room,
               some * p->answers * sizeof(double));
    }
    free(memory);
    return failed;
}

/* Both ends of (count,) intervals, of guesses with their scales, as bands.py has it: the hull of each
   guess and, band by band, the values in it whose score is no miss. ends: lows, highs, bottoms and
   tops, each a number a band. answer: (count, 3), the guess and both ends. */
void housing_ends(int64_t count, const double *guesses, int64_t bands, const double *ends, double cap,
                  double *answer)
{
    const double *lows = ends, *highs = ends + bands, *bottoms = ends + 2 * bands, *tops = ends + 3 * bands;
    for (int64_t row = 0; row < count; row++, guesses += 2, answer += 3) {
        double guess = guesses[0], scale = guesses[1];
        double middle = guess < 0 ? 0 : guess > cap ? cap : guess;
        double lowest = middle, highest = middle;
        for (int64_t b = 0; b < bands; b++) {
            double low = guess + scale * lows[b], high = guess + scale * highs[b];
            if (low < bottoms[b]) low = bottoms[b];
            if (high > tops[b]) high = tops[b];
            if (low > high) continue; /* no value of this band fits */
            if (low < lowest) lowest = low;
            if (high > highest) highest = high;
        }
        answer[0] = guess;
        answer[1] = lowest;
        answer[2] = highest;
    }
}
