/* Predicts rows with a compiled graph: compiler.py compiles it and checks every index, bindings.py
   calls the two exported functions.

   A graph is a list of operations on registers, each of which holds some numbers of each row of a
   block. Sums run in the order of training, and nothing is fused: the same bits on each machine. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__)
#define CPU_DISPATCH __attribute__((target_clones("avx2", "default")))
#else
#define CPU_DISPATCH
#endif

/* opcodes, in the order of compiler.OPCODES */
enum {
    COPY, ADD, SUB, MUL, DIV, MAX, MIN, SQRT, LOG, TO_FLOAT32,
    REDUCE_SUM, CUMSUM, LOOKUP, GEMM, TREE_ENSEMBLE, SMALL_TREES
};
enum { BLOCK_ROWS = 32, LANES = 8, TILE_ROWS = 4, TILE_COLUMNS = 8, MAX_BITMASK_LEAVES = 48 };
enum { ERROR_NO_MEMORY = 1, ERROR_NO_NEIGHBOR = 2 }; /* keys of bindings.ERROR_MESSAGES */

typedef double Double4 __attribute__((vector_size(32), aligned(8), may_alias));
typedef int64_t Mask4 __attribute__((vector_size(32), aligned(8), may_alias));

typedef struct {
    int64_t register_offset; /* the register's position in a row's memory, or -1 for constants */
    int64_t stride;          /* numbers of a row in it */
    int64_t index_map;       /* where the indices of the numbers taken begin among the index maps */
} Operand;

/* The parameters depend on the opcode. REDUCE_SUM: a group's size. CUMSUM: the axis's size, and the
   size within it. LOOKUP: the table's start, columns and rows. GEMM: the number of inputs, and the
   weights' start. TREE_ENSEMBLE, SMALL_TREES: the first tree, and how many. */
typedef struct {
    int64_t opcode;
    int64_t output_register, output_stride, output_offset; /* the offset of the first number written */
    int64_t size;                                          /* numbers written per row */
    Operand a, b;
    int64_t param0, param1, param2;
} Operation;

typedef struct {
    double split;
    int32_t feature, left; /* the right child stands behind the left; a leaf is its own child */
} TreeNode;

typedef struct {
    double split;
    uint64_t bits; /* the leaves to its left, a bit each, and above these the feature */
} Bitmask;

typedef struct {
    /* how many; then numbers per row: in all registers, in rows, in indices, in outputs */
    int64_t n_operations, row_memory_size, n_columns, n_neighbor_values, n_outputs;
    const Operation *operations;
    const double *constants;
    const int32_t *index_maps, *roots, *depths;
    const TreeNode *nodes;
    const double *leaf_values;
    const int32_t *bitmask_offsets, *small_leaf_offsets; /* where each small tree's begin; and where all end */
    const Bitmask *bitmasks;
    const double *small_leaf_values;
} CompiledGraph;

/* for apply_elementwise: the operands' j-th numbers, and an opcode that computes each number alone */
#define LEFT a[a_indices[j]]
#define RIGHT b[b_indices[j]]
#define CASE(opcode, value) case opcode: for (j = 0; j < size; j++) out[j] = (value); break

static void apply_elementwise(const Operation *op, const double *a, const int32_t *a_indices,
                              const double *b, const int32_t *b_indices, double *out)
{
    int64_t j, size = op->size;
    switch (op->opcode) {
    CASE(COPY, LEFT);
    CASE(ADD, LEFT + RIGHT);
    CASE(SUB, LEFT - RIGHT);
    CASE(MUL, LEFT * RIGHT);
    CASE(DIV, LEFT / RIGHT);
    CASE(MAX, LEFT < RIGHT ? RIGHT : LEFT);
    CASE(MIN, RIGHT < LEFT ? RIGHT : LEFT);
    CASE(SQRT, sqrt(LEFT));
    CASE(LOG, log(LEFT));
    CASE(TO_FLOAT32, (float)LEFT);
    case REDUCE_SUM: {
        int64_t group_size = op->param0;
        for (j = 0; j < size; j++) {
            double total = a[a_indices[j * group_size]];
            for (int64_t i = 1; i < group_size; i++) total += a[a_indices[j * group_size + i]];
            out[j] = total;
        }
        break;
    }
    case CUMSUM: {
        int64_t axis_size = op->param0, inner_size = op->param1;
        for (j = 0; j < size; j++) {
            out[j] = (j / inner_size) % axis_size ? out[j - inner_size] + LEFT : LEFT;
        }
        break;
    }
    }
}

/* Multiplies some rows by eight columns of weights. Each product is added to its sum in the order of
   the inputs, whatever is computed beside it. */
static inline __attribute__((always_inline)) void multiply_tile(
    int n_rows, int64_t n_inputs, int64_t n_columns, const double *const x[TILE_ROWS], const double *weights,
    double *const out[TILE_ROWS])
{
    Double4 low[TILE_ROWS] = {{0}}, high[TILE_ROWS] = {{0}}; /* stay in the processor's registers */
    for (int64_t i = 0; i < n_inputs; i++, weights += n_columns) {
        Double4 left = *(const Double4 *)weights, right = *(const Double4 *)(weights + 4);
        for (int r = 0; r < n_rows; r++) {
            low[r] += x[r][i] * left;
            high[r] += x[r][i] * right;
        }
    }
    for (int r = 0; r < n_rows; r++) {
        *(Double4 *)out[r] = low[r];
        *(Double4 *)(out[r] + 4) = high[r];
    }
}

CPU_DISPATCH static void gemm(const Operation *op, int64_t n_rows, const double *x, int64_t x_stride,
                              const double *weights, double *out)
{
    int64_t n_inputs = op->param0, n_columns = op->size, row = 0, column;
    for (; row < n_rows; row += TILE_ROWS) {
        const double *sources[TILE_ROWS];
        double *targets[TILE_ROWS];
        int tile_rows = n_rows - row < TILE_ROWS ? n_rows - row : TILE_ROWS;
        for (int r = 0; r < tile_rows; r++) sources[r] = x + (row + r) * x_stride;
        for (column = 0; column + TILE_COLUMNS <= n_columns; column += TILE_COLUMNS) {
            for (int r = 0; r < tile_rows; r++) targets[r] = out + (row + r) * op->output_stride + column;
            if (tile_rows == TILE_ROWS)
                multiply_tile(TILE_ROWS, n_inputs, n_columns, sources, weights + column, targets);
            else
                for (int r = 0; r < tile_rows; r++)
                    multiply_tile(1, n_inputs, n_columns, sources + r, weights + column, targets + r);
        }
        for (; column < n_columns; column++)
            for (int r = 0; r < tile_rows; r++) {
                double total = 0.0;
                for (int64_t i = 0; i < n_inputs; i++) total += sources[r][i] * weights[i * n_columns + column];
                out[(row + r) * op->output_stride + column] = total;
            }
    }
}

/* Walks from eight nodes, each with a row of its own, to leaves. */
static void walk_trees(const TreeNode *nodes, int32_t depth, const double *const x[LANES],
                       int32_t node_indices[LANES])
{
    int32_t n[LANES];
    memcpy(n, node_indices, sizeof n);
#define STEP(l) n[l] = nodes[n[l]].left + (x[l][nodes[n[l]].feature] > nodes[n[l]].split)
    while (depth-- > 0) { /* eight at once, without a branch: the waits for memory overlap */
        STEP(0); STEP(1); STEP(2); STEP(3);
        STEP(4); STEP(5); STEP(6); STEP(7);
    }
    memcpy(node_indices, n, sizeof n);
}

static void eval_trees(const CompiledGraph *graph, const Operation *op, int64_t n_rows, const double *x,
                       int64_t x_stride, double *out)
{
    int64_t first_tree = op->param0, n_trees = op->param1;
    const int32_t *roots = graph->roots + first_tree, *depths = graph->depths + first_tree;
    const double *lane_rows[LANES];
    int32_t node_indices[LANES];
    int64_t row = 0, n_full_rows = n_rows - n_rows % LANES;
    double totals[BLOCK_ROWS] = {0};
    for (int64_t tree = 0; tree < n_trees; tree++) /* one tree at a time, walked by eight rows */
        for (row = 0; row < n_full_rows; row += LANES) {
            for (int l = 0; l < LANES; l++) {
                lane_rows[l] = x + (row + l) * x_stride;
                node_indices[l] = roots[tree];
            }
            walk_trees(graph->nodes, depths[tree], lane_rows, node_indices);
            for (int l = 0; l < LANES; l++) totals[row + l] += graph->leaf_values[node_indices[l]];
        }
    for (row = 0; row < n_full_rows; row++) out[row * op->output_stride] = totals[row];
    for (; row < n_rows; row++) { /* the remaining rows: eight trees at a time, walked by one row */
        double total = 0.0;
        for (int l = 0; l < LANES; l++) lane_rows[l] = x + row * x_stride;
        for (int64_t tree = 0; tree < n_trees; tree += LANES) {
            int64_t n_lanes = n_trees - tree < LANES ? n_trees - tree : LANES;
            int32_t max_depth = 0;
            for (int l = 0; l < LANES; l++) {
                int64_t lane_tree = tree + (l < n_lanes ? l : 0);
                node_indices[l] = roots[lane_tree];
                if (depths[lane_tree] > max_depth) max_depth = depths[lane_tree];
            }
            walk_trees(graph->nodes, max_depth, lane_rows, node_indices);
            for (int64_t l = 0; l < n_lanes; l++) total += graph->leaf_values[node_indices[l]];
        }
        out[row * op->output_stride] = total;
    }
}

/* Adds the outputs of small trees to the totals, for four rows times `n_groups`: x has a block of rows
   for each feature. A row that exceeds a split is at none of the leaves to its left; of those that
   remain it is at the first. */
static inline __attribute__((always_inline)) void eval_bitmasks(
    const CompiledGraph *graph, const Operation *op, int n_groups, const double *x, double *totals)
{
    int64_t first_tree = op->param0, n_trees = op->param1;
    for (int64_t tree = first_tree; tree < first_tree + n_trees; tree++) {
        Mask4 possible_leaves[BLOCK_ROWS / 4];
        const Bitmask *bitmask = graph->bitmasks + graph->bitmask_offsets[tree];
        const Bitmask *end = graph->bitmasks + graph->bitmask_offsets[tree + 1];
        const double *leaf_values = graph->small_leaf_values + graph->small_leaf_offsets[tree];
        for (int g = 0; g < n_groups; g++) possible_leaves[g] = (Mask4){-1, -1, -1, -1};
        for (; bitmask < end; bitmask++) {
            const double *column = x + (bitmask->bits >> MAX_BITMASK_LEAVES) * BLOCK_ROWS;
            int64_t bits = bitmask->bits;
            double split = bitmask->split;
            Mask4 left_leaves = {bits, bits, bits, bits};
            Double4 splits = {split, split, split, split};
            for (int g = 0; g < n_groups; g++)
                possible_leaves[g] &= ~((Mask4)(*(const Double4 *)(column + 4 * g) > splits) & left_leaves);
        }
        for (int g = 0; g < n_groups; g++)
            for (int l = 0; l < 4; l++)
                totals[4 * g + l] += leaf_values[__builtin_ctzll(possible_leaves[g][l])];
    }
}

/* x_stride is also the number of columns read. */
CPU_DISPATCH static void eval_small_trees(const CompiledGraph *graph, const Operation *op, int64_t n_rows,
                                          const double *x, int64_t x_stride, double *transposed, double *out)
{
    double totals[BLOCK_ROWS] = {0};
    int n_groups = (n_rows + 3) / 4;
    for (int64_t j = 0; j < x_stride; j++)
        for (int64_t row = 0; row < 4 * n_groups; row++)
            transposed[j * BLOCK_ROWS + row] = row < n_rows ? x[row * x_stride + j] : 0.0;
    switch (n_groups) { /* a constant each: the compiler unrolls the loops over groups */
    case 1: eval_bitmasks(graph, op, 1, transposed, totals); break;
    case 2: eval_bitmasks(graph, op, 2, transposed, totals); break;
    case 3: case 4: eval_bitmasks(graph, op, 4, transposed, totals); break;
    default: eval_bitmasks(graph, op, 8, transposed, totals);
    }
    for (int64_t row = 0; row < n_rows; row++) out[row * op->output_stride] = totals[row];
}

static int lookup_rows(const Operation *op, const double *table, const int64_t *indices, double *out)
{
    int64_t n_columns = op->param1, n_table_rows = op->param2;
    for (int64_t j = 0; j < op->size / n_columns; j++) {
        /* the search finds no neighbor for a row with a value that is not a number */
        if (indices[j] < 0 || indices[j] >= n_table_rows) return ERROR_NO_NEIGHBOR;
        memcpy(out + j * n_columns, table + indices[j] * n_columns, n_columns * sizeof(double));
    }
    return 0;
}

static int run_block(const CompiledGraph *graph, double *memory, double *transposed, const int64_t *indices,
                     int64_t n_rows, int64_t block_capacity)
{
    const Operation *end = graph->operations + graph->n_operations;
    for (const Operation *op = graph->operations; op < end; op++) {
        int a_is_constant = op->a.register_offset < 0, b_is_constant = op->b.register_offset < 0;
        double *out = memory + op->output_register * block_capacity + op->output_offset;
        const double *a = a_is_constant ? graph->constants : memory + op->a.register_offset * block_capacity;
        const double *b = b_is_constant ? graph->constants : memory + op->b.register_offset * block_capacity;
        int64_t a_stride = a_is_constant ? 0 : op->a.stride, b_stride = b_is_constant ? 0 : op->b.stride;
        if (op->opcode == TREE_ENSEMBLE)
            eval_trees(graph, op, n_rows, a, a_stride, out);
        else if (op->opcode == SMALL_TREES)
            eval_small_trees(graph, op, n_rows, a, a_stride, transposed, out);
        else if (op->opcode == GEMM)
            gemm(op, n_rows, a, a_stride, graph->constants + op->param1, out);
        else
            for (int64_t row = 0; row < n_rows; row++, out += op->output_stride, a += a_stride, b += b_stride) {
                const int64_t *row_indices = indices + row * graph->n_neighbor_values;
                if (op->opcode != LOOKUP)
                    apply_elementwise(op, a, graph->index_maps + op->a.index_map, b,
                                      graph->index_maps + op->b.index_map, out);
                else if (lookup_rows(op, graph->constants + op->param0, row_indices, out))
                    return ERROR_NO_NEIGHBOR;
            }
    }
    return 0;
}

/* Writes (n_rows, n_outputs) numbers for (n_rows, n_columns) rows with their (n_rows,
   n_neighbor_values) neighbors. The first register is for rows, the second for distances, the last one
   has the outputs. Returns 0, or an ERROR_* code. */
int housing_predict(const CompiledGraph *graph, int64_t n_rows, const double *rows, const double *distances,
                    const int64_t *indices, double *outputs)
{
    int64_t block_capacity = n_rows < BLOCK_ROWS ? n_rows : BLOCK_ROWS, max_stride = 0;
    for (const Operation *op = graph->operations; op < graph->operations + graph->n_operations; op++)
        if (op->opcode == SMALL_TREES && op->a.stride > max_stride) max_stride = op->a.stride;
    int64_t memory_size = graph->row_memory_size * (block_capacity ? block_capacity : 1);
    double *memory = malloc((memory_size + max_stride * BLOCK_ROWS) * sizeof(double));
    if (!memory) return ERROR_NO_MEMORY;
    double *transposed = memory + memory_size;
    int error = 0;
    for (int64_t start = 0; start < n_rows && !error; start += block_capacity) {
        int64_t block_rows = n_rows - start < block_capacity ? n_rows - start : block_capacity;
        memcpy(memory, rows + start * graph->n_columns, block_rows * graph->n_columns * sizeof(double));
        if (graph->n_neighbor_values)
            memcpy(memory + graph->n_columns * block_capacity, distances + start * graph->n_neighbor_values,
                   block_rows * graph->n_neighbor_values * sizeof(double));
        error = run_block(graph, memory, transposed, indices + start * graph->n_neighbor_values, block_rows,
                          block_capacity);
        memcpy(outputs + start * graph->n_outputs,
               memory + (graph->row_memory_size - graph->n_outputs) * block_capacity,
               block_rows * graph->n_outputs * sizeof(double));
    }
    free(memory);
    return error;
}

/* Writes the bounds of the intervals of (n_rows, 2) predictions and scales, as price_bands.py computes
   them: the hull of each prediction and, band by band, of the values whose score is between the band's
   quantiles. band_table: the lower and upper quantiles, then the lower and upper edges of the bands,
   n_bands each. bounds: (n_rows, 3), the prediction and both bounds. */
void housing_interval_bounds(int64_t n_rows, const double *predictions_and_scales, int64_t n_bands,
                             const double *band_table, double cap, double *bounds)
{
    const double *lower_quantiles = band_table, *upper_quantiles = band_table + n_bands;
    const double *lower_edges = band_table + 2 * n_bands, *upper_edges = band_table + 3 * n_bands;
    for (int64_t row = 0; row < n_rows; row++, predictions_and_scales += 2, bounds += 3) {
        double prediction = predictions_and_scales[0], scale = predictions_and_scales[1];
        double clipped = prediction < 0 ? 0 : prediction > cap ? cap : prediction;
        double lowest = clipped, highest = clipped;
        for (int64_t band = 0; band < n_bands; band++) {
            double low = prediction + scale * lower_quantiles[band];
            double high = prediction + scale * upper_quantiles[band];
            if (low < lower_edges[band]) low = lower_edges[band];
            if (high > upper_edges[band]) high = upper_edges[band];
            if (low > high) continue; /* no value of this band fits */
            if (low < lowest) lowest = low;
            if (high > highest) highest = high;
        }
        bounds[0] = prediction;
        bounds[1] = lowest;
        bounds[2] = highest;
    }
}
