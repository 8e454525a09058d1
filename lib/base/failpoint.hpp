// The named points at which the tests make a process die or a call fail. The acting is in
// sys/failpoint.hpp; a release has neither the names nor the points.
//
// A crash point stands at the boundary between two steps that a successor must be able to tell
// apart. The points of sys stand for a system call that can be refused for want of something, and
// are passed wherever that call is made. Every point is walked by tests/e2e/failpoints_test.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cluster {

enum class Failpoint : std::uint8_t {
    // The keeper: between an intent, the deed, and its record.
    intent_written,
    run_cloned,
    run_noted,
    signal_sent,
    exit_reaped,
    exit_noted,
    descriptor_held,
    supervisor_cloned,
    estate_left,
    estate_taken,
    // The supervisor: between hearing, storing, doing and answering.
    spec_held,
    record_torn,
    state_stored,
    state_remembered,
    output_held,
    spawn_asked,
    signal_asked,
    release_asked,
    exit_drained,
    exit_told,
    actions_done,
    turn_done,
    log_renamed,
    lines_staged,
    relay_filled,
    channel_cut,
    sum_begun,
    sum_stored,
    job_asked,
    shutdown_stored,
    finish_asked,
    // Its first start, and a takeover.
    daemon_stored,
    fleet_populated,
    takeover_attached,
    takeover_restored,
    takeover_outputs,
    takeover_reconciled,
    takeover_listening,
    // System calls of either.
    sys_pipe,
    sys_memory_file,
    sys_map,
    sys_open,
    sys_duplicate,
    sys_write,
    sys_splice,
    sys_rename,
    sys_accept,
    sys_socket,
    sys_clone,
    sys_watch,
    // An allocation of the supervisor's (app/supervisor/heap.cpp).
    heap,
};

inline constexpr std::size_t kFailpointCount = static_cast<std::size_t>(Failpoint::heap) + 1;

/// As the file is called that arms it.
[[nodiscard]] constexpr const char* failpoint_name(Failpoint point) {
    constexpr const char* kNames[] = {"intent_written",
                                      "run_cloned",
                                      "run_noted",
                                      "signal_sent",
                                      "exit_reaped",
                                      "exit_noted",
                                      "descriptor_held",
                                      "supervisor_cloned",
                                      "estate_left",
                                      "estate_taken",
                                      "spec_held",
                                      "record_torn",
                                      "state_stored",
                                      "state_remembered",
                                      "output_held",
                                      "spawn_asked",
                                      "signal_asked",
                                      "release_asked",
                                      "exit_drained",
                                      "exit_told",
                                      "actions_done",
                                      "turn_done",
                                      "log_renamed",
                                      "lines_staged",
                                      "relay_filled",
                                      "channel_cut",
                                      "sum_begun",
                                      "sum_stored",
                                      "job_asked",
                                      "shutdown_stored",
                                      "finish_asked",
                                      "daemon_stored",
                                      "fleet_populated",
                                      "takeover_attached",
                                      "takeover_restored",
                                      "takeover_outputs",
                                      "takeover_reconciled",
                                      "takeover_listening",
                                      "sys_pipe",
                                      "sys_memory_file",
                                      "sys_map",
                                      "sys_open",
                                      "sys_duplicate",
                                      "sys_write",
                                      "sys_splice",
                                      "sys_rename",
                                      "sys_accept",
                                      "sys_socket",
                                      "sys_clone",
                                      "sys_watch",
                                      "heap"};
    static_assert(sizeof(kNames) / sizeof(kNames[0]) == kFailpointCount);
    return kNames[static_cast<std::size_t>(point)];
}

}  // namespace cluster
