#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "instance.hpp"

namespace cluster::node {
namespace {

constexpr std::size_t kSmall = 4096;

/// The bytes of a view of an ArrayBuffer. False for anything else, which napi_get_buffer_info of
/// Node 18 would answer by ending the process.
bool read_view(const Call& call, std::size_t argument, void** data, std::size_t* size) {
    bool is_view = false;
    return napi_is_buffer(call.env(), call.argument(argument), &is_view) == napi_ok && is_view &&
           napi_get_buffer_info(call.env(), call.argument(argument), data, size) == napi_ok;
}

/// Bytes from JavaScript: any view of an ArrayBuffer as it is, a string as its UTF-8.
class Input {
public:
    /// False when an exception is pending.
    [[nodiscard]] bool read(const Call& call, std::size_t argument) {
        const napi_value value = call.argument(argument);
        void* view = nullptr;
        if (read_view(call, argument, &view, &size_)) {
            data_ = view;
            return true;
        }
        // Up to one byte more than fits is enough to see that it does not.
        if (napi_get_value_string_utf8(call.env(), value, small_, sizeof small_, &size_) !=
            napi_ok) {
            call.fail_type("keys and values are strings, Buffers or other views of bytes");
            return false;
        }
        data_ = small_;
        // It may have been cut, at most by what one more character takes.
        return size_ + 4 < sizeof small_ || read_large(call, value);
    }

    [[nodiscard]] const void* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    [[nodiscard]] bool read_large(const Call& call, napi_value value) {
        napi_get_value_string_utf8(call.env(), value, nullptr, 0, &size_);
        large_.reset(static_cast<char*>(std::malloc(size_ + 1)));
        if (large_ == nullptr) {
            call.fail(-ENOMEM);
            return false;
        }
        napi_get_value_string_utf8(call.env(), value, large_.get(), size_ + 1, &size_);
        data_ = large_.get();
        return true;
    }

    struct Free {
        void operator()(char* memory) const { std::free(memory); }
    };
    const void* data_ = nullptr;
    std::size_t size_ = 0;
    std::unique_ptr<char, Free> large_;
    char small_[kSmall];
};

/// A value that was read: in place where it is small.
class Output {
public:
    using Read = int (*)(cluster_store*, const Input&, void*, std::size_t, cluster_value*);

    /// What the reading function returned, but for ERANGE: then there was more memory taken.
    [[nodiscard]] int read(cluster_store* store, const Input& key, Read function) {
        int code = function(store, key, small_, sizeof small_, &found_);
        while (code == -ERANGE) {
            const std::size_t size = found_.size;
            large_.reset(static_cast<char*>(std::malloc(size)));
            if (large_ == nullptr) return -ENOMEM;
            code = function(store, key, large_.get(), size, &found_);
        }
        return code;
    }

    [[nodiscard]] const cluster_value& found() const { return found_; }
    [[nodiscard]] napi_value buffer(const Call& call) const {
        napi_value result = nullptr;
        napi_create_buffer_copy(call.env(), found_.size, data(), nullptr, &result);
        return result;
    }
    [[nodiscard]] napi_value string(const Call& call) const {
        napi_value result = nullptr;
        napi_create_string_utf8(call.env(), data(), found_.size, &result);
        return result;
    }

private:
    [[nodiscard]] const char* data() const { return large_ ? large_.get() : small_; }

    struct Free {
        void operator()(char* memory) const { std::free(memory); }
    };
    cluster_value found_{};
    std::unique_ptr<char, Free> large_;
    char small_[kSmall];
};

int get(cluster_store* store, const Input& key, void* buffer, std::size_t capacity,
        cluster_value* found) {
    return cluster_table_get(store, key.data(), key.size(), buffer, capacity, found);
}

int take(cluster_store* store, const Input& key, void* buffer, std::size_t capacity,
         cluster_value* found) {
    return cluster_table_getdel(store, key.data(), key.size(), buffer, capacity, found);
}

/// Reads the value of the key in the first argument. False when it is not there (`missing` is what
/// to return then) or an exception is pending.
bool read_value(const Call& call, Output::Read function, Output& output, napi_value& missing) {
    Input key;
    missing = nullptr;
    cluster_store* store = call.store();
    if (store == nullptr || !key.read(call, 0)) return false;
    const int code = output.read(store, key, function);
    if (code == 0) return true;
    missing = code == -ENOENT ? call.undefined() : call.fail(code);
    return false;
}

/// Milliseconds, 0 for ever. False when an exception is pending.
bool read_ttl(const Call& call, std::size_t argument, std::int64_t& ttl) {
    if (call.type_of(argument) == napi_undefined) return true;
    double number = 0;
    napi_get_value_double(call.env(), call.argument(argument), &number);
    if (!(number > 0)) {
        napi_throw_range_error(call.env(), "ERR_OUT_OF_RANGE",
                               "ttl is a number of milliseconds above 0");
        return false;
    }
    ttl = number < 1e15 ? static_cast<std::int64_t>(number) : INT64_MAX;
    if (ttl == 0) ttl = 1;
    return true;
}

napi_value make_token(const Call& call, std::uint64_t token) {
    napi_value result = nullptr;
    napi_create_bigint_uint64(call.env(), token, &result);
    return result;
}

}  // namespace

napi_value table_get(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    Output output;
    napi_value missing = nullptr;
    return read_value(call, get, output, missing) ? output.buffer(call) : missing;
}

napi_value table_get_string(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    Output output;
    napi_value missing = nullptr;
    return read_value(call, get, output, missing) ? output.string(call) : missing;
}

napi_value table_take(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    Output output;
    napi_value missing = nullptr;
    return read_value(call, take, output, missing) ? output.buffer(call) : missing;
}

/// (key) → [value, token, milliseconds left or 0]
napi_value table_entry(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    Output output;
    napi_value missing = nullptr;
    if (!read_value(call, get, output, missing)) return missing;
    napi_value result = nullptr;
    napi_create_array_with_length(env, 3, &result);
    napi_set_element(env, result, 0, output.buffer(call));
    napi_set_element(env, result, 1, make_token(call, output.found().token));
    napi_set_element(env, result, 2, call.number(static_cast<double>(output.found().ttl_ms)));
    return result;
}

/// (key, view) → size of the value, of which the view has what fits.
napi_value table_get_into(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_store* store = call.store();
    Input key;
    if (store == nullptr || !key.read(call, 0)) return nullptr;
    void* data = nullptr;
    std::size_t capacity = 0;
    if (call.type_of(1) != napi_undefined && !read_view(call, 1, &data, &capacity)) {
        return call.fail_type("what to read into is a Buffer or another view of bytes");
    }
    cluster_value found{};
    const int code = cluster_table_get(store, key.data(), key.size(), data,
                                       data == nullptr ? 0 : capacity, &found);
    if (code == -ENOENT) return call.undefined();
    if (code != 0 && code != -ERANGE) return call.fail(code);
    return call.number(static_cast<double>(found.size));
}

/// (key, value, ttl, mode) → whether it was written. Modes: 0 set, 1 add, 2 replace.
napi_value table_write(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_store* store = call.store();
    Input key;
    Input value;
    std::int64_t ttl = 0;
    if (store == nullptr || !key.read(call, 0) || !value.read(call, 1) || !read_ttl(call, 2, ttl)) {
        return nullptr;
    }
    std::uint32_t mode = 0;
    napi_get_value_uint32(env, call.argument(3), &mode);
    const auto write = mode == 1   ? cluster_table_add
                       : mode == 2 ? cluster_table_replace
                                   : cluster_table_set;
    const int code = write(store, key.data(), key.size(), value.data(), value.size(), ttl, nullptr);
    if (code == 0) return call.boolean(true);
    const bool is_answer = (mode == 1 && code == -EEXIST) || (mode == 2 && code == -ENOENT);
    return is_answer ? call.boolean(false) : call.fail(code);
}

/// (key, value, token, ttl) → the new token; undefined when the key has another value or none.
napi_value table_compare_and_set(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_store* store = call.store();
    Input key;
    Input value;
    std::int64_t ttl = 0;
    if (store == nullptr || !key.read(call, 0) || !value.read(call, 1) || !read_ttl(call, 3, ttl)) {
        return nullptr;
    }
    std::uint64_t token = 0;
    bool is_lossless = false;
    if (napi_get_value_bigint_uint64(env, call.argument(2), &token, &is_lossless) != napi_ok) {
        return call.fail_type("a token is the BigInt that entry() gave");
    }
    if (!is_lossless) return call.undefined();
    const int code =
        cluster_table_cas(store, key.data(), key.size(), value.data(), value.size(), ttl, &token);
    if (code == -ENOENT || code == -ESTALE) return call.undefined();
    return code == 0 ? make_token(call, token) : call.fail(code);
}

napi_value table_delete(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_store* store = call.store();
    Input key;
    if (store == nullptr || !key.read(call, 0)) return nullptr;
    const int code = cluster_table_delete(store, key.data(), key.size());
    if (code != 0 && code != -ENOENT) return call.fail(code);
    return call.boolean(code == 0);
}

napi_value table_increment(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_store* store = call.store();
    Input key;
    Whole delta;
    if (store == nullptr || !key.read(call, 0) || !read_whole(call, 1, delta)) return nullptr;
    std::int64_t number = 0;
    const int code = cluster_table_incr(store, key.data(), key.size(), delta.value, &number);
    return code == 0 ? make_whole(call, number, delta.is_big) : call.fail(code);
}

/// (cursor, view for the value) → [key, size of the value], or undefined at the end. The cursor is
/// a view of as many bytes as cluster_cursor has, zero at the beginning.
napi_value table_next(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    cluster_store* store = call.store();
    if (store == nullptr) return nullptr;
    void* data = nullptr;
    void* value = nullptr;
    std::size_t size = 0;
    std::size_t capacity = 0;
    if (!read_view(call, 0, &data, &size) || size != sizeof(cluster_cursor) ||
        !read_view(call, 1, &value, &capacity)) {
        return call.fail_type("not a cursor and a view for values");
    }
    cluster_cursor cursor;
    std::memcpy(&cursor, data, sizeof cursor);
    char key[CLUSTER_MAX_KEY_BYTES];
    cluster_item item;
    const int code = cluster_table_next(store, &cursor, key, sizeof key, value,
                                        value == nullptr ? 0 : capacity, &item);
    std::memcpy(data, &cursor, sizeof cursor);
    if (code < 0) return call.fail(code);
    if (code == 0) return call.undefined();
    napi_value result = nullptr;
    napi_value name = nullptr;
    napi_create_array_with_length(env, 2, &result);
    napi_create_buffer_copy(env, item.key_size, key, nullptr, &name);
    napi_set_element(env, result, 0, name);
    napi_set_element(env, result, 1, call.number(static_cast<double>(item.value.size)));
    return result;
}

}  // namespace cluster::node
