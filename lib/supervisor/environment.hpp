// The environment of a worker, built from scratch at every start.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.hpp"
#include "core/spec.hpp"
#include "sys/users.hpp"

namespace cluster::supervisor {

/// What the daemon's own environment contributes: the few variables of the safe base (LANG, LC_*,
/// TZ …).
using Variables = std::map<std::string, std::string>;
[[nodiscard]] Variables safe_base_from_environment();

struct InstanceName {
    std::string worker;
    std::uint32_t number = 0;
    std::uint32_t instances = 1;
};

/// Safe base (or, for an ad-hoc worker with keep_env, its caller's environment), then PATH, HOME,
/// USER …, then the environment files, then `env`, then who it is: CLUSTER_WORKER,
/// CLUSTER_INSTANCE, CLUSTER_INSTANCES, NODE_APP_INSTANCE. Errors: {env_file, errno}; EBADMSG: a
/// line of it cannot be understood.
[[nodiscard]] Result<Variables> worker_environment(const core::Launch& launch,
                                                   const InstanceName& instance,
                                                   const Variables& safe_base,
                                                   const sys::User& user);

/// What is wrong with the first environment file that cannot be used, in words: "/srv/.env: line 3:
/// expected NAME=value …". Empty when all can.
[[nodiscard]] std::string env_file_problem(const core::Launch& launch);

}  // namespace cluster::supervisor
