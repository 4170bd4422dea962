// The contract of every kernel, as one table of functions that each device fills: the CPU here
// (cpu/cpu_kernels.cc), a GPU in its plug-in. Raw pointers lie in the memory of the device; sizes
// and numbers on the host. An entry is a whole operation over all rows: how the work is divided
// over threads or blocks is the device's business, and no result depends on it. An entry may return
// before the work is done if the device runs what follows after it. A null entry means that the
// device has no kernel: the wrapper beside this file composes the operation of LibTorch's.
//
// Only plain structs and pointers: included by sources that are compiled for wider CPUs
// (cpu/vector_lanes.h) and by the plug-in.
#pragma once

#include <cstdint>

namespace torii::kernels {

// ---- Softmax loss ----

// What the products of the loss multiply; sums and exponentials are float32 always. With kBfloat16,
// q / tau (in base 2) and v are rounded to bfloat16 for the logits; probabilities, v and weighted q
// are for the gradients.
enum class SoftmaxPrecision { kFloat32, kBfloat16 };

// A query q_i has one row, or several: rows n of [row_begin[i], row_begin[i + 1]) share its logits,
// which are computed once. With z_ij = q_i . v_j / tau + column_offset_j, and for the positive p of
// row n z_ip = q_i . v_p / tau + positive_offset_n,
//   l_n = -(q_i . v_p / tau + target_offset_n) + log sum_{j not excluded for i} exp(z_ij).
// A column_offset of -inf removes a column; excluded columns of query i are
// excluded[excluded_begin[i] .. excluded_begin[i + 1]), which a row's own positive survives.
struct SoftmaxArgs {
  const float* q = nullptr;                 // [b, dim]
  const float* v = nullptr;                 // [u, dim]
  const float* column_offset = nullptr;     // [u]
  const int64_t* row_begin = nullptr;       // [b + 1] or null: query i has row i alone
  const int64_t* positive = nullptr;        // [rows] in [0, u)
  const float* positive_offset = nullptr;   // [rows]
  const float* target_offset = nullptr;     // [rows]
  const float* weight = nullptr;            // [rows], not negative
  const int64_t* excluded_begin = nullptr;  // [b + 1] or null: nothing is excluded
  const int64_t* excluded = nullptr;
  int64_t b = 0, u = 0, dim = 0;  // u and dim at least 1
  // Lengths that the host of a device cannot read from the lists (the CPU does not look at them).
  int64_t rows = 0, num_excluded = 0;
  double inverse_temperature = 1;
  float* q_grad = nullptr;     // [b, dim]: gradient of sum_n weight_n l_n
  float* v_grad = nullptr;     // [u, dim]
  double* row_loss = nullptr;  // [rows]: l_n; not finite if the row diverged
  double* loss = nullptr;      // [1]: sum_n weight_n l_n; null: not wanted
};

// Some queries of a loss whose products come from elsewhere.
struct SoftmaxRowsArgs {
  // Of all queries. q, v and the gradients are not looked at. loss.column_offset: on a multiple of 16
  // bytes, -inf up to whole fours. loss.loss: null unless the losses of all rows are known with these.
  // u below 2^31.
  SoftmaxArgs loss;
  int64_t first_query = 0, queries = 0;
  // [queries, stride], on a multiple of 16 bytes. In the first u of each row q_i . v_j, which becomes
  // the gradient of the loss with respect to it; behind them anything.
  float* products = nullptr;
  int64_t stride = 0;  // a multiple of 4
};

// The memory that a device keeps from one loss to the next. The device defines it.
struct SoftmaxMemory;

// ---- Stacks of linear layers ----

struct LinearLayer {
  const float* weight = nullptr;  // [out, in]
  const float* bias = nullptr;    // [out]
  int64_t in = 0, out = 0;
};

// y = W_L relu(... relu(W_1 x + b_1) ...) + b_L, then each row of y scaled to length 1 if
// `normalize`; a row of up to kMinLength is divided by that, and no gradient goes through it.
// Widths fit each other; there may be no layers.
struct LinearStackArgs {
  const LinearLayer* layers = nullptr;  // on the host
  int64_t num_layers = 0;
  int64_t in = 0, out = 0;
  bool normalize = false;
};
constexpr float kMinLength = 1e-12F;

// Row i of y depends on row i of x alone, bit for bit, whatever n is.
struct LinearForwardArgs {
  const float* x = nullptr;  // [n, in]
  float* y = nullptr;        // [n, out]
  int64_t n = 0;
  float* kept = nullptr;  // [kept floats of (stack, n)], for the way back; null: nothing is kept
};

// The gradients of layer l go to weight_grad[l] [out, in] and bias_grad[l] [out].
struct LinearBackwardArgs {
  const float* x = nullptr;  // as given to the forward pass
  const float* y = nullptr;  // its result
  int64_t n = 0;
  const float* kept = nullptr;
  const float* y_grad = nullptr;        // [n, out]
  float* x_grad = nullptr;              // [n, in]; null: not wanted
  float* const* weight_grad = nullptr;  // [layers], on the host
  float* const* bias_grad = nullptr;    // [layers], on the host
};

// ---- Pooled rows ----

// Lists of rows. All of it in the memory of the device.
struct RowLists {
  const int64_t* index = nullptr;  // rows, list after list
  const int64_t* begin = nullptr;  // [lists + 1] places in index; null: one row in each list
  const float* weight = nullptr;   // of each place in index; null: 1
  const float* scale = nullptr;    // [lists] of each sum; null: 1
  int64_t lists = 0, places = 0;
};

// Rows of `width` floats, `stride` floats apart.
struct RowTable {
  const float* rows = nullptr;
  int64_t width = 0, stride = 0;
};

// ---- Groups ----

// The positions 0 .. count - 1 grouped by their keys: groups in ascending order of their keys, each
// with its positions in ascending order. All of it in the memory of the device.
struct GroupArgs {
  const int64_t* keys = nullptr;  // [count] in [0, num_keys)
  int64_t count = 0;              // below 2^31
  int64_t num_keys = 0;           // at most 2^32
  int64_t* order = nullptr;       // [count]: positions, group after group
  int64_t* distinct = nullptr;    // [count], of which [groups] are written: the keys
  int64_t* begin = nullptr;       // [count + 1], of which [groups + 1]: where groups begin in order
  int64_t* groups = nullptr;      // [1]: how many
  int64_t* group_of = nullptr;    // [count]: the group of each position; null: not wanted
};

// ---- Rows of embedding tables ----

// Rows are where the slots say: slot s at weights + s * stride.
struct GatherArgs {
  const float* rows = nullptr;
  int64_t stride = 0, dim = 0;
  const int64_t* slots = nullptr;  // [count]
  int64_t count = 0;
  float* out = nullptr;  // [count, dim]
};

// The formulas: optimizer_rules.h.
enum class OptimizerRule { kSgd, kMomentum, kRowwiseAdagrad, kAdagrad, kAdam };

// The numbers of one step of a rule, the same for all weights (optimizer_step.h makes them).
struct OptimizerStep {
  OptimizerRule rule;
  float learning_rate;
  float epsilon;
  float l2;      // l2 * w is added to the gradient of w
  float shrink;  // shrink * w is taken from w, apart from the gradient (AdamW)
  float momentum;
  float beta1, beta2;  // of Adam's first and second moment
  float rest1, rest2;  // 1 - beta
  // What corrects the moments' bias: 1 / (1 - beta^t), or 1 where learning_rate and root do it.
  float unbias1, unbias2;
  float root;  // 1, or 1 / sqrt(1 - beta2^t)
};

// One step over the rows of a table that have gradients.
struct RowStep {
  OptimizerStep step;
  int64_t dim;
  int64_t stride;
  int64_t first_slot = 0;  // of the table: what the slots of its rows count from
  float* weights;          // slot s at weights + (s - first_slot) * stride
  // Likewise, state_stride apart. Row-wise Adagrad: h, one float. Momentum: m [dim]. Adagrad: h
  // [dim]. Adam: m [dim], then v [dim].
  float* state;
  int64_t state_stride;
  const bool* gate = nullptr;  // where it is false nothing is changed; null: open
};

// Distinct row i lies in slots[i] and has the gradient rows [dim] gradients[begin[i]] ..
// gradients[begin[i + 1] - 1], at least one, which are summed in this order.
struct TouchedRowList {
  int64_t rows;
  const uint32_t* slots;          // [rows]
  const uint32_t* begin;          // [rows + 1]
  const float* const* gradients;  // [begin[rows]]
  // For devices whose host cannot read `begin` (the CPU does not look at them):
  int64_t places = 0;    // not fewer than begin[rows]
  bool aligned = false;  // every gradient row lies on a multiple of 16 bytes
};

// ---- Random numbers ----

// A stream of base/random.h: the key of its rows.
struct RandomRowKey {
  uint32_t key[2];
};

// Row i of out, `stride` floats apart, = scale times the normal numbers of row first_row + i *
// row_step of the stream (RandomStream::NormalRow).
struct NormalRowsArgs {
  RandomRowKey key;
  int64_t first_row = 0, row_step = 1, count = 0, dim = 0, stride = 0;
  float scale = 1;
  float* out = nullptr;
};

// Row i of out = 0 where the uniform number of row row_key[i] of the stream is below `drop`, else
// `kept`.
struct DropoutArgs {
  RandomRowKey key;
  const int64_t* row_key = nullptr;  // [count]
  int64_t count = 0, width = 0;
  float drop = 0, kept = 1;
  float* out = nullptr;  // [count, width]
};

// ---- Dense weights ----

struct WeightsArgs {
  OptimizerStep step;
  int64_t size = 0;
  float* weight = nullptr;          // [size]
  const float* gradient = nullptr;  // [size]
  const float* decays = nullptr;    // [size]: 1 where l2 and shrink apply, else 0
  float* first = nullptr;           // [size]: momentum, or Adam's m; null where the rule has none
  float* second = nullptr;          // [size]: Adagrad's h, or Adam's v; null where it has none
  const bool* gate = nullptr;       // where it is false nothing is changed; null: open
};

// norm = the length of `gradient`, which is scaled to length most where it is longer.
struct ClipArgs {
  float* gradient = nullptr;  // [size]
  int64_t size = 0;
  double most = 0;         // 0: any length is allowed
  double* norm = nullptr;  // [1]
};

// *is_open = false unless both numbers are finite.
struct GateArgs {
  const double* loss = nullptr;           // [1]
  const double* gradient_norm = nullptr;  // [1]
  bool* is_open = nullptr;                // [1]
};

// ---- Ranking ----

// Items ready for scoring: vectors [n, dim], and the same as pack_items left them.
struct ItemVectors {
  const float* vectors = nullptr;
  const float* packed = nullptr;
  int64_t n = 0, dim = 0;
};

// Items that each row leaves out: items[begin[i]] .. items[begin[i + 1] - 1], ascending.
struct HiddenItems {
  const int64_t* begin;  // [rows + 1]
  const int64_t* items;
};

// Thresholds of some rows. Those of row i are begin[i] .. begin[i + 1]; a row may have none.
struct Thresholds {
  const int64_t* begin;  // [rows + 1]
  const float* score;
  const int64_t* tie_before;
};

// The lists of `rows` rows, each of `k` places, at least one; row i has length[i] of them, best
// first, ties by smaller item. Scores that are not above -infinity are in no list.
struct TopKLists {
  int64_t k;
  int64_t* items;   // [rows, k]
  float* scores;    // [rows, k]
  int64_t* length;  // [rows]; places behind it are left as they are
};

// ---- The table ----

struct DeviceKernels {
  // Softmax cross-entropy with both gradients. name: what computes it, for the log.
  // has_softmax: whether there is a kernel for such products and dimensions; null: for all.
  bool (*has_softmax)(SoftmaxPrecision precision, int64_t dim);
  const char* (*softmax_name)(SoftmaxPrecision precision);
  SoftmaxMemory* (*new_softmax)(SoftmaxPrecision precision);
  void (*delete_softmax)(SoftmaxMemory* memory);
  void (*softmax)(SoftmaxMemory* memory, const SoftmaxArgs& args);
  // Where has_softmax says no: what is left of the loss beside LibTorch's products. Writes row_loss.
  void (*softmax_rows)(const SoftmaxRowsArgs& args);

  int64_t (*linear_kept_floats)(const LinearStackArgs& stack, int64_t n);
  void (*linear_forward)(const LinearStackArgs& stack, const LinearForwardArgs& args);
  void (*linear_backward)(const LinearStackArgs& stack, const LinearBackwardArgs& args);

  // out [lists, width] = the weighted sum of each list's rows in order, zeros for an empty list.
  void (*pool_rows)(const RowTable& table, const RowLists& lists, float* out);
  // The gradient of the table: out [rows, width] = the sum over the places that name a row, in
  // their order, of weight * scale * the list's row of `gradient`.
  void (*pool_rows_backward)(const RowTable& gradient, const RowLists& lists, int64_t rows,
                             float* out);
  // Whether index is 0, 1, ..., count - 1, which may then be left out. Only where reading it is
  // cheap.
  bool (*is_identity)(const int64_t* index, int64_t count);
  // scale[i] = 1 / the length of list i, 1 for an empty one. begin [lists + 1].
  void (*inverse_lengths)(const int64_t* begin, int64_t lists, float* scale);
  // weight of each place = exp(age * log_ratio) over the sum of the list's; age 0 for the last
  // place.
  void (*recency_weights)(const int64_t* begin, int64_t lists, double log_ratio, float* weight);

  void (*group_by_key)(const GroupArgs& args);

  void (*gather_rows)(const GatherArgs& args);
  // Sums the gradients of each touched row and updates it once. A row's bits depend on its own
  // gradients alone.
  void (*update_rows)(const RowStep& step, const TouchedRowList& touched);

  void (*normal_rows)(const NormalRowsArgs& args);
  void (*dropout_mask)(const DropoutArgs& args);

  void (*update_weights)(const WeightsArgs& args);
  void (*clip_gradient)(const ClipArgs& args);
  void (*close_gate)(const GateArgs& args);

  // Scores are inner products with one order of additions: the score of a pair has the same bits in
  // every entry, whatever else is scored beside it.
  int64_t (*packed_floats)(int64_t n, int64_t dim);
  void (*pack_items)(const float* vectors, int64_t n, int64_t dim, float* packed);
  // scores[p] = the score of row q_row[p] of q and item item[p].
  void (*score_pairs)(const float* q, const ItemVectors& items, const int64_t* q_row,
                      const int64_t* item, int64_t pairs, float* scores);
  // Adds to counts[t], for each threshold t of a row of q [rows, dim]: how many items j that the
  // row does not hide have a score > score[t], or == score[t] with j < tie_before[t].
  void (*count_above)(const float* q, int64_t rows, const ItemVectors& items,
                      const Thresholds& thresholds, const HiddenItems& hidden, int64_t* counts);
  void (*top_k)(const float* q, int64_t rows, const ItemVectors& items, const HiddenItems& hidden,
                const TopKLists& lists);
  // largest[i] = the greatest magnitude in row i of x [rows, dim]; infinity if one of its numbers
  // is not finite.
  void (*largest_magnitudes)(const float* x, int64_t rows, int64_t dim, double* largest);
};

}  // namespace torii::kernels
