#include <cerrno>
#include <cstring>

#include "instance.hpp"

namespace cluster::node {
namespace {

void release_cells(napi_env /*env*/, void* /*address*/, void* held) {
    static_cast<OpenStore*>(held)->release();
}

}  // namespace

/// (name, kind) → its number here. The same name gives the same number.
napi_value counter_open(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    // A name that is cut, at most by what one more character takes, is still too long.
    char name[CLUSTER_MAX_COUNTER_NAME + 6];
    std::size_t size = 0;
    std::uint32_t kind = 0;
    if (napi_get_value_string_utf8(env, call.argument(0), name, sizeof name, &size) != napi_ok ||
        napi_get_value_uint32(env, call.argument(1), &kind) != napi_ok) {
        return call.fail_type("a counter's name is a string");
    }
    if (std::memchr(name, 0, size) != nullptr) return call.fail(-EILSEQ);
    cluster_store* store = call.store();
    if (store == nullptr) return nullptr;
    cluster_counter* counter = nullptr;
    const int code = cluster_counter_open(store, name, kind, &counter);
    if (code != 0) return call.fail(code);
    auto& known = call.instance().counters;
    std::size_t number = 0;
    while (number < known.size() && known[number] != counter) ++number;
    if (number == known.size()) known.push_back(counter);
    return call.number(static_cast<double>(number));
}

/// (counter) → its place among all numbers of the atomic kind, in elements of 64 bits.
napi_value counter_index(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    const cluster_counter* counter = call.counter(0);
    if (counter == nullptr) return nullptr;
    return call.number(cluster_counter_index(counter) * 8.0);
}

/// () → an ArrayBuffer over the numbers of all counters of the atomic kind.
napi_value counter_cells(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_store* store = call.store();
    if (store == nullptr) return nullptr;
    // Storing into what is mapped for reading only would be the end of the process.
    if (call.instance().is_read_only) return call.fail(-EROFS);
    std::size_t bytes = 0;
    std::int64_t* cells = cluster_counter_array(store, &bytes);
    OpenStore* held = call.instance().open;
    held->hold();
    napi_value result = nullptr;
    const napi_status status =
        napi_create_external_arraybuffer(env, cells, bytes, release_cells, held, &result);
    if (status == napi_ok) return result;
    held->release();
    return call.fail(-ENOTSUP,
                     "this runtime allows no array over memory that is not its own; use add() and "
                     "its like instead");
}

napi_value counter_add(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_counter* counter = call.counter(0);
    Whole amount;
    if (counter == nullptr || !read_whole(call, 1, amount)) return nullptr;
    bool is_striped = false;
    napi_get_value_bool(env, call.argument(2), &is_striped);
    std::int64_t sum = 0;
    const int code = cluster_counter_add(counter, amount.value, is_striped ? nullptr : &sum);
    if (code != 0) return call.fail(code);
    return is_striped ? call.undefined() : make_whole(call, sum, amount.is_big);
}

/// (counter, as BigInt?)
napi_value counter_get(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    const cluster_counter* counter = call.counter(0);
    if (counter == nullptr) return nullptr;
    bool is_big = false;
    napi_get_value_bool(env, call.argument(1), &is_big);
    return make_whole(call, cluster_counter_get(counter), is_big);
}

napi_value counter_exchange(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_counter* counter = call.counter(0);
    Whole value;
    if (counter == nullptr || !read_whole(call, 1, value)) return nullptr;
    bool is_set = false;  // nobody asks what it was
    napi_get_value_bool(env, call.argument(2), &is_set);
    std::int64_t before = 0;
    const int code = cluster_counter_exchange(counter, value.value, &before);
    if (code != 0) return call.fail(code);
    return is_set ? call.undefined() : make_whole(call, before, value.is_big);
}

/// Returns what it was, as Atomics.compareExchange does.
napi_value counter_compare_exchange(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_counter* counter = call.counter(0);
    Whole expected;
    Whole desired;
    if (counter == nullptr || !read_whole(call, 1, expected) || !read_whole(call, 2, desired)) {
        return nullptr;
    }
    const int code = cluster_counter_compare_exchange(counter, &expected.value, desired.value);
    if (code < 0) return call.fail(code);
    return make_whole(call, expected.value, expected.is_big);
}

/// (where to go on) → [where to go on, name, kind, value], or undefined at the end.
napi_value counter_next(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_store* store = call.store();
    std::uint32_t at = 0;
    if (store == nullptr) return nullptr;
    napi_get_value_uint32(env, call.argument(0), &at);
    cluster_counter_item item;
    const int code = cluster_counter_next(store, &at, &item);
    if (code < 0) return call.fail(code);
    if (code == 0) return call.undefined();
    napi_value result = nullptr;
    napi_value name = nullptr;
    napi_value value = nullptr;
    napi_create_array(env, &result);
    napi_create_string_utf8(env, item.name, NAPI_AUTO_LENGTH, &name);
    napi_create_bigint_int64(env, item.value, &value);
    napi_set_element(env, result, 0, call.number(at));
    napi_set_element(env, result, 1, name);
    napi_set_element(env, result, 2, call.number(item.kind));
    napi_set_element(env, result, 3, value);
    return result;
}

}  // namespace cluster::node
