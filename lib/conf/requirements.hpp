// What `requires`, `wants` and `after` need the whole file for.
#pragma once

#include <string>
#include <vector>

#include "conf/field.hpp"
#include "core/spec.hpp"

namespace cluster::conf {

/// Reports every worker in them that neither the table of workers nor `others` names.
void check_known(const std::vector<core::WorkerSpec>& specs, const Field& workers,
                 const std::vector<std::string>& others);

/// Reports workers that require, or wait for, one another, along the cycle.
void check_cycles(const std::vector<core::WorkerSpec>& specs, const Field& workers);

}  // namespace cluster::conf
