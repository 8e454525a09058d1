// The child's half of a spawn: see run_plan.hpp.
#pragma once

#include "sys/process.hpp"

namespace cluster::keeper {

/// For sys::spawn. `argument`: a PlanRunner::ChildPlan. Runs in the child, in the keeper's memory,
/// by raw system calls only; returns only when something failed.
void run_child(void* argument, sys::SpawnFailure* failure);

}  // namespace cluster::keeper
