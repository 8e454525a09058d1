// What the addon keeps for one environment of Node: the main thread, or a worker thread.
#pragma once

#define NAPI_VERSION 8
#include <node_api.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cluster.h"

namespace cluster::node {

/// A store that is open as long as the environment, or an array over its memory, lives.
struct OpenStore {
    explicit OpenStore(cluster_store* opened) : store(opened) {}

    cluster_store* store;
    std::atomic<unsigned> holders{1};

    void hold() { holders.fetch_add(1, std::memory_order_relaxed); }
    void release() {
        if (holders.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        cluster_store_close(store);
        delete this;
    }
};

struct Instance {
    OpenStore* open = nullptr;
    bool is_read_only = false;
    std::vector<cluster_counter*> counters;  // what index.js knows by its number
    napi_ref make_error = nullptr;           // (errno, text, operation) → Error
};

/// One call from JavaScript: its arguments, and the environment's instance.
class Call {
public:
    static constexpr std::size_t kMaxArguments = 5;

    Call(napi_env env, napi_callback_info info);

    [[nodiscard]] napi_env env() const { return env_; }
    [[nodiscard]] Instance& instance() const { return *instance_; }
    [[nodiscard]] napi_value argument(std::size_t i) const { return arguments_[i]; }
    [[nodiscard]] napi_valuetype type_of(std::size_t i) const;

    /// The store, opened at the first need. Null when an exception is pending.
    [[nodiscard]] cluster_store* store() const;
    /// The counter that an argument numbers. Null when an exception is pending.
    [[nodiscard]] cluster_counter* counter(std::size_t i) const;

    /// Throws what index.js makes of an errno (negative, as libcluster gives it). Returns null, for
    /// returning to JavaScript.
    napi_value fail(int code, const char* text = nullptr) const;
    napi_value fail_type(const char* text) const;

    [[nodiscard]] napi_value undefined() const;
    [[nodiscard]] napi_value boolean(bool value) const;
    [[nodiscard]] napi_value number(double value) const;

private:
    napi_env env_;
    Instance* instance_ = nullptr;
    napi_value arguments_[kMaxArguments] = {};
};

/// A whole number of 64 bits, given as Number or as BigInt, and given back as the same.
struct Whole {
    std::int64_t value = 0;
    bool is_big = false;
};
/// False when an exception is pending.
[[nodiscard]] bool read_whole(const Call& call, std::size_t argument, Whole& whole);
/// A Number that cannot be exact is an exception, with what has become of the counter in its text.
[[nodiscard]] napi_value make_whole(const Call& call, std::int64_t value, bool is_big);

napi_value open_store(napi_env env, napi_callback_info info);
napi_value store_stats(napi_env env, napi_callback_info info);
napi_value store_join(napi_env env, napi_callback_info info);
napi_value store_leave(napi_env env, napi_callback_info info);

napi_value counter_open(napi_env env, napi_callback_info info);
napi_value counter_index(napi_env env, napi_callback_info info);
napi_value counter_cells(napi_env env, napi_callback_info info);
napi_value counter_add(napi_env env, napi_callback_info info);
napi_value counter_get(napi_env env, napi_callback_info info);
napi_value counter_exchange(napi_env env, napi_callback_info info);
napi_value counter_compare_exchange(napi_env env, napi_callback_info info);
napi_value counter_next(napi_env env, napi_callback_info info);

napi_value table_get(napi_env env, napi_callback_info info);
napi_value table_get_string(napi_env env, napi_callback_info info);
napi_value table_get_into(napi_env env, napi_callback_info info);
napi_value table_entry(napi_env env, napi_callback_info info);
napi_value table_take(napi_env env, napi_callback_info info);
napi_value table_write(napi_env env, napi_callback_info info);
napi_value table_compare_and_set(napi_env env, napi_callback_info info);
napi_value table_delete(napi_env env, napi_callback_info info);
napi_value table_increment(napi_env env, napi_callback_info info);
napi_value table_next(napi_env env, napi_callback_info info);

}  // namespace cluster::node
