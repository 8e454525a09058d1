#include "clusterctl/verb.hpp"

namespace cluster::clusterctl {

std::vector<std::unique_ptr<Verb>> make_verbs() {
    std::vector<std::unique_ptr<Verb>> verbs;
    for (auto* make : {make_start,    make_stop,     make_restart,  make_reload,   make_scale,
                       make_apply,    make_delete,   make_signal,   make_send,     make_publish,
                       make_messages, make_reset,    make_status,   make_describe, make_pid,
                       make_events,   make_top,      make_startup,  make_store,    make_env,
                       make_logs,     make_validate, make_shutdown, make_upgrade,  make_version,
                       make_complete}) {
        verbs.push_back(make());
    }
    return verbs;
}

}  // namespace cluster::clusterctl
