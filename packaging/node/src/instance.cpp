#include "instance.hpp"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <new>

namespace cluster::node {
namespace {

constexpr std::int64_t kMaxSafe = (std::int64_t{1} << 53) - 1;

}  // namespace

Call::Call(napi_env env, napi_callback_info info) : env_(env) {
    std::size_t count = kMaxArguments;
    void* data = nullptr;
    napi_get_cb_info(env, info, &count, arguments_, nullptr, &data);
    instance_ = static_cast<Instance*>(data);
}

napi_valuetype Call::type_of(std::size_t i) const {
    napi_valuetype type = napi_undefined;
    napi_typeof(env_, arguments_[i], &type);
    return type;
}

cluster_store* Call::store() const {
    if (instance_->open != nullptr) [[likely]] {
        return instance_->open->store;
    }
    cluster_store* opened = nullptr;
    const int code = cluster_store_open(instance_->is_read_only ? CLUSTER_READ_ONLY : 0, &opened);
    if (code == 0) instance_->open = new (std::nothrow) OpenStore{opened};
    if (instance_->open != nullptr) return opened;
    cluster_store_close(opened);
    fail(code == 0 ? -ENOMEM : code, nullptr);
    return nullptr;
}

cluster_counter* Call::counter(std::size_t i) const {
    std::uint32_t number = 0;
    const bool is_number = napi_get_value_uint32(env_, arguments_[i], &number) == napi_ok;
    if (is_number && number < instance_->counters.size()) [[likely]] {
        return instance_->counters[number];
    }
    fail_type("not a counter");
    return nullptr;
}

napi_value Call::fail(int code, const char* text) const {
    napi_value make = nullptr;
    napi_value arguments[2] = {};
    napi_value error = nullptr;
    napi_get_reference_value(env_, instance_->make_error, &make);
    napi_create_int32(env_, -code, &arguments[0]);
    napi_create_string_utf8(env_, text != nullptr ? text : cluster_error_text(code),
                            NAPI_AUTO_LENGTH, &arguments[1]);
    if (napi_call_function(env_, undefined(), make, 2, arguments, &error) == napi_ok) {
        napi_throw(env_, error);
    }
    return nullptr;
}

napi_value Call::fail_type(const char* text) const {
    napi_throw_type_error(env_, "ERR_INVALID_ARG_TYPE", text);
    return nullptr;
}

napi_value Call::undefined() const {
    napi_value value = nullptr;
    napi_get_undefined(env_, &value);
    return value;
}

napi_value Call::boolean(bool value) const {
    napi_value result = nullptr;
    napi_get_boolean(env_, value, &result);
    return result;
}

napi_value Call::number(double value) const {
    napi_value result = nullptr;
    napi_create_double(env_, value, &result);
    return result;
}

bool read_whole(const Call& call, std::size_t argument, Whole& whole) {
    double number = 0;
    if (napi_get_value_double(call.env(), call.argument(argument), &number) == napi_ok) {
        if (std::trunc(number) == number && std::fabs(number) <= static_cast<double>(kMaxSafe)) {
            whole.value = static_cast<std::int64_t>(number);
            return true;
        }
        call.fail(-EOVERFLOW, "a Number must be a safe integer; give a BigInt beyond 2^53");
        return false;
    }
    bool is_lossless = false;
    whole.is_big = true;
    if (napi_get_value_bigint_int64(call.env(), call.argument(argument), &whole.value,
                                    &is_lossless) != napi_ok) {
        call.fail_type("a Number or a BigInt is wanted");
        return false;
    }
    if (!is_lossless) call.fail(-EOVERFLOW, "the BigInt does not fit 64 bits");
    return is_lossless;
}

napi_value make_whole(const Call& call, std::int64_t value, bool is_big) {
    if (!is_big) {
        if (value <= kMaxSafe && value >= -kMaxSafe) [[likely]] {
            return call.number(static_cast<double>(value));
        }
        char text[160];
        std::snprintf(text, sizeof text,
                      "the result, %lld, is beyond what a Number holds exactly; what was asked for "
                      "is done; use BigInt here",
                      static_cast<long long>(value));
        return call.fail(-EOVERFLOW, text);
    }
    napi_value result = nullptr;
    napi_create_bigint_int64(call.env(), value, &result);
    return result;
}

napi_value open_store(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    bool is_read_only = false;
    napi_get_value_bool(env, call.argument(0), &is_read_only);
    if (call.instance().open == nullptr) call.instance().is_read_only = is_read_only;
    return call.store() != nullptr ? call.undefined() : nullptr;
}

napi_value store_stats(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_store* store = call.store();
    if (store == nullptr) return nullptr;
    cluster_stats stats;
    const int code = cluster_store_stats(store, &stats, sizeof stats);
    if (code != 0) return call.fail(code);
    // As an array of numbers in the order of the struct, which index.js names. The generation is
    // random over 64 bits, hence a BigInt.
    const std::uint64_t numbers[] = {stats.segment_bytes,
                                     stats.keys,
                                     stats.bytes,
                                     stats.counters,
                                     stats.counters_limit,
                                     stats.participants,
                                     stats.participants_limit,
                                     stats.unassigned_bytes,
                                     stats.settled_participants,
                                     stats.settled_blocks};
    napi_value result = nullptr;
    napi_create_array(env, &result);
    std::uint32_t at = 0;
    const auto put = [&](std::uint64_t number) {
        napi_set_element(env, result, at++, call.number(static_cast<double>(number)));
    };
    for (const std::uint64_t number : numbers) put(number);
    napi_value generation = nullptr;
    napi_create_bigint_uint64(env, stats.generation, &generation);
    napi_set_element(env, result, at++, generation);
    for (const cluster_class_stats& each : stats.classes) {
        put(each.block_bytes);
        put(each.used_blocks);
        put(each.free_blocks);
    }
    return result;
}

napi_value store_join(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_store* store = call.store();
    if (store == nullptr) return nullptr;
    const int code = cluster_store_join(store);
    return code == 0 ? call.undefined() : call.fail(code);
}

napi_value store_leave(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_store* store = call.store();
    if (store == nullptr) return nullptr;
    cluster_store_leave(store);
    return call.undefined();
}

}  // namespace cluster::node
