// The native half of preload/shared_array_buffer.js: one function, (name, bytes) → a SharedArrayBuffer over the area of that name
// in the worker's store.
//
// Node-API can make one over memory that is not V8's since Node 22, so that function is looked up at run time. Before that only V8's own
// interface can, which changes with every version of Node: built with CLUSTER_V8 this file is for the version whose headers
// it saw, and its module has that version's number in its name, which the preload looks for.
#define NAPI_VERSION 8
#include <node_api.h>

#include <cstddef>
#include <cstring>

#include "cluster.h"

#ifdef CLUSTER_V8
#include <v8.h>
#else
#include <dlfcn.h>
#endif

namespace {

/// The memory is the segment's, which stays mapped as long as the process lives.
void keep(void* /*data*/, void* /*hint*/) {}

#ifdef CLUSTER_V8

bool is_able() {
    return true;
}

napi_status make_buffer(napi_env /*env*/, void* data, std::size_t bytes, napi_value* result) {
    // A napi_value is a Local in every version of Node so far (js_native_api_v8.h asserts the size).
    static_assert(sizeof(v8::Local<v8::Value>) == sizeof(napi_value));
    const auto release = [](void* memory, std::size_t, void* hint) { keep(memory, hint); };
    std::shared_ptr<v8::BackingStore> memory =
        v8::SharedArrayBuffer::NewBackingStore(data, bytes, release, nullptr);
    v8::Local<v8::Value> buffer =
        v8::SharedArrayBuffer::New(v8::Isolate::GetCurrent(), std::move(memory));
    std::memcpy(static_cast<void*>(result), static_cast<const void*>(&buffer), sizeof buffer);
    return napi_ok;
}

#else

using MakeShared = napi_status (*)(napi_env, void*, std::size_t, void (*)(void*, void*), void*,
                                   napi_value*);

MakeShared find_make_shared() {
    static void* const found = dlsym(RTLD_DEFAULT, "node_api_create_external_sharedarraybuffer");
    return reinterpret_cast<MakeShared>(found);
}

bool is_able() {
    return find_make_shared() != nullptr;
}

napi_status make_buffer(napi_env env, void* data, std::size_t bytes, napi_value* result) {
    return find_make_shared()(env, data, bytes, keep, nullptr, result);
}

#endif

napi_value refuse(napi_env env, const char* code, const char* text) {
    napi_throw_error(env, code, text);
    return nullptr;
}

/// The store is opened once and never closed: buffers over it live as long as somebody holds them.
napi_value area_buffer(napi_env env, napi_callback_info info) {
    static cluster_store* store = nullptr;
    std::size_t count = 2;
    napi_value arguments[2] = {};
    napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
    char name[CLUSTER_MAX_COUNTER_NAME + 6];
    double bytes = 0;
    if (napi_get_value_string_utf8(env, arguments[0], name, sizeof name, nullptr) != napi_ok ||
        napi_get_value_double(env, arguments[1], &bytes) != napi_ok) {
        return refuse(env, "ERR_INVALID_ARG_TYPE", "a name and a number of bytes are wanted");
    }
    int code = store != nullptr ? 0 : cluster_store_open(0, &store);
    void* area = nullptr;
    if (code == 0) code = cluster_area_open(store, name, static_cast<std::size_t>(bytes), &area);
    if (code != 0) return refuse(env, "ERR_CLUSTERD_AREA", cluster_error_text(code));
    napi_value buffer = nullptr;
    if (make_buffer(env, area, static_cast<std::size_t>(bytes), &buffer) != napi_ok) {
        return refuse(env, "ERR_CLUSTERD_AREA", "this runtime allows no memory that is not its own");
    }
    return buffer;
}

}  // namespace

NAPI_MODULE_INIT() {
    napi_value able = nullptr;
    napi_get_boolean(env, is_able(), &able);
    napi_set_named_property(env, exports, "isAble", able);
    napi_value limit = nullptr;
    napi_create_double(env, CLUSTER_MAX_AREA_BYTES, &limit);
    napi_set_named_property(env, exports, "maxBytes", limit);
    napi_value function = nullptr;
    napi_create_function(env, "areaBuffer", NAPI_AUTO_LENGTH, area_buffer, nullptr, &function);
    napi_set_named_property(env, exports, "areaBuffer", function);
    return exports;
}
