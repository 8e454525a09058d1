#include "supervisor/jobs.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <utility>

#include "supervisor/plan_compiler.hpp"
#include "sys/failpoint.hpp"

namespace cluster::supervisor {
namespace {

/// Names the owner of a run in the keeper's table for those who read it; operations have lower ids.
constexpr Epoch kJobEpoch{~std::uint64_t{0}};
constexpr Epoch kProbeEpoch{~std::uint64_t{0} - 1};
/// Left to other jobs, whatever the probes do.
constexpr std::size_t kMaxProbes = kJobSlots - 8;
constexpr int kStandardError = 2;

std::string text_of(const Error& error) {
    return fmt::format("{}: {}", op_name(error.op), std::strerror(error.code));
}

}  // namespace

void Jobs::start(std::vector<std::string> command, Done done, sys::UniqueFd inherited) {
    if (is_stopping_) return;
    waiting_.push_back({std::move(command), std::move(done), std::move(inherited)});
    start_waiting();
}

void Jobs::start_waiting() {
    // A job that fails at once calls back, and whoever is called may start the next.
    if (std::exchange(is_starting_, true)) return;
    while (!waiting_.empty() && running_ < kMaxRunning && unknown_ == 0 && !is_stopping_) {
        const auto slot = free_slot();
        if (!slot) break;
        Waiting next = std::move(waiting_.front());
        waiting_.pop_front();
        jobs_[slot->value].done = std::move(next.done);
        jobs_[slot->value].is_busy = true;
        ++running_;
        if (const auto spawned = spawn(*slot, next); !spawned) {
            finish(*slot, text_of(spawned.error()));
        }
    }
    is_starting_ = false;
}

std::optional<Slot> Jobs::free_slot() const {
    for (std::uint32_t i = 0; i < kJobSlots; ++i) {
        if (jobs_[i].is_busy) continue;
        const auto record = keeper_.slot(Slot{i});
        // A release that is still on its way to the keeper leaves the record as it is.
        if (record && record->state == wire::SlotState::free) return Slot{i};
        if (record && record->generation == jobs_[i].generation.value) return Slot{i};
    }
    return std::nullopt;
}

Generation Jobs::next_generation(Slot slot) {
    const auto record = keeper_.slot(slot);
    Job& job = jobs_[slot.value];
    job.generation.value = std::max(job.generation.value, record ? record->generation : 0) + 1;
    return job.generation;
}

Status Jobs::spawn(Slot slot, const Waiting& job) {
    const bool has_inherited = job.inherited.is_open();
    const auto plan = compile_job(job.command, path_, has_inherited);
    if (!plan) return tl::unexpected(plan.error());
    std::vector<int> attached{null_, null_, kStandardError};
    if (has_inherited) attached.push_back(job.inherited.get());
    keeper_.spawn({slot, next_generation(slot)}, kJobEpoch, plan->get(), attached);
    sys::pass(Failpoint::job_asked);
    return {};
}

std::optional<Run> Jobs::start_probe(int plan, Done done, std::optional<int> output) {
    const auto slot = probes_ < kMaxProbes && !is_stopping_ ? free_slot() : std::nullopt;
    if (!slot) return std::nullopt;
    Job& job = jobs_[slot->value];
    job.is_busy = true;
    job.is_probe = true;
    job.done = std::move(done);
    ++probes_;
    const Run run{*slot, next_generation(*slot)};
    const std::array<int, 3> attached{null_, output.value_or(null_), null_};
    keeper_.spawn(run, kProbeEpoch, plan, attached);
    return run;
}

void Jobs::abandon_probe(Run run) {
    Job& job = jobs_[run.slot.value];
    if (!job.is_busy || job.generation != run.generation) return;
    job.done = [](const std::string&) {};
    keeper_.signal(run, SIGKILL, false);
}

void Jobs::on_spawned(Run run, const std::optional<Error>& error) {
    Job& job = jobs_[run.slot.value];
    if (!error || !job.is_busy || job.generation != run.generation) return;
    keeper_.release(run);
    finish(run.slot, text_of(*error));
}

void Jobs::on_refused(Run run, const Error& error) {
    const Job& job = jobs_[run.slot.value];
    const auto record = keeper_.slot(run.slot);
    const bool was_spawned = record && record->generation >= run.generation.value;
    if (!job.is_busy || job.generation != run.generation || was_spawned) return;
    finish(run.slot, text_of(error));
}

void Jobs::on_slot_changed(Slot slot) {
    const auto record = keeper_.slot(slot);
    if (!record || record->state == wire::SlotState::free) return;
    Job& job = jobs_[slot.value];
    const Generation generation{record->generation};
    if (record->state != wire::SlotState::exited) {
        if (job.is_busy || generation == job.generation) return;
        job = {.is_busy = true, .is_probe = false, .generation = generation, .done = {}};
        if (record->epoch == kProbeEpoch.value) {
            // Whoever wanted to know asks again.
            job.is_probe = true;
            job.done = [](const std::string&) {};
            ++probes_;
            keeper_.signal({slot, generation}, SIGKILL, false);
            return;
        }
        ++running_;
        ++unknown_;
        return;
    }
    const bool is_ours = job.is_busy && job.generation == generation;
    // A spawn that failed is answered as well.
    if (is_ours && job.done && record->failed_op != 0) return;
    if (!is_ours && generation <= job.generation) return;
    keeper_.release({slot, generation});
    if (!is_ours) {
        job.generation = generation;
        return;
    }
    const bool is_signal = record->exit_code != CLD_EXITED;
    const bool is_done = !is_signal && record->exit_status == 0;
    finish(slot,
           is_done ? ""
                   : fmt::format("{} {}", is_signal ? "signal" : "exit code", record->exit_status));
}

void Jobs::finish(Slot slot, const std::string& failure) {
    Job& job = jobs_[slot.value];
    const Done done = std::exchange(job.done, {});
    job.is_busy = false;
    if (std::exchange(job.is_probe, false)) {
        --probes_;
        return done(failure);
    }
    --running_;
    if (done) {
        done(failure);
    } else {
        --unknown_;
    }
    start_waiting();
}

void Jobs::stop() {
    if (std::exchange(is_stopping_, true)) return;
    waiting_.clear();
    for (std::uint32_t i = 0; i < kJobSlots; ++i) {
        const int signal = jobs_[i].is_probe ? SIGKILL : SIGTERM;
        if (jobs_[i].is_busy) keeper_.signal({Slot{i}, jobs_[i].generation}, signal, true);
    }
}

bool Jobs::is_idle() const {
    return running_ == 0 && probes_ == 0;
}

}  // namespace cluster::supervisor
