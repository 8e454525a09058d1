// The native half of the package: libcluster for Node, by Node-API 8, so that one binary serves
// Node 18 and all later ones. index.js gives it its shape; nothing here is called by users.
#include <new>

#include "instance.hpp"

namespace cluster::node {
namespace {

void end_instance(napi_env /*env*/, void* data, void* /*hint*/) {
    auto* instance = static_cast<Instance*>(data);
    if (instance->open != nullptr) instance->open->release();
    delete instance;
}

/// (function that makes an error of an errno and a text)
napi_value set_errors(napi_env env, napi_callback_info info) {
    const Call call{env, info};
    napi_create_reference(env, call.argument(0), 1, &call.instance().make_error);
    return call.undefined();
}

struct Function {
    const char* name;
    napi_callback callback;
};

constexpr Function kFunctions[] = {
    {"setErrors", set_errors},
    {"open", open_store},
    {"stats", store_stats},
    {"join", store_join},
    {"leave", store_leave},
    {"counterOpen", counter_open},
    {"counterIndex", counter_index},
    {"counterCells", counter_cells},
    {"counterAdd", counter_add},
    {"counterGet", counter_get},
    {"counterExchange", counter_exchange},
    {"counterCompareExchange", counter_compare_exchange},
    {"counterNext", counter_next},
    {"tableGet", table_get},
    {"tableGetString", table_get_string},
    {"tableGetInto", table_get_into},
    {"tableEntry", table_entry},
    {"tableTake", table_take},
    {"tableWrite", table_write},
    {"tableCompareAndSet", table_compare_and_set},
    {"tableDelete", table_delete},
    {"tableIncrement", table_increment},
    {"tableNext", table_next},
};

}  // namespace
}  // namespace cluster::node

NAPI_MODULE_INIT() {
    using cluster::node::Instance;
    auto* instance = new (std::nothrow) Instance;
    if (instance == nullptr) return nullptr;
    napi_set_instance_data(env, instance, cluster::node::end_instance, nullptr);
    for (const auto& each : cluster::node::kFunctions) {
        napi_value function = nullptr;
        napi_create_function(env, each.name, NAPI_AUTO_LENGTH, each.callback, instance, &function);
        napi_set_named_property(env, exports, each.name, function);
    }
    napi_value version = nullptr;
    napi_create_string_utf8(env, cluster_version(), NAPI_AUTO_LENGTH, &version);
    napi_set_named_property(env, exports, "version", version);
    return exports;
}
