#include "ready/probe.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace cluster::ready {

Probe::Probe(const core::Probe& spec, Instant now) : spec_(spec), due_(now + spec.initial_delay) {}

Probe::Order Probe::on_time(Instant now) {
    if (is_ready() || now < due_) return Order::wait;
    if (is_running_) {
        on_result(false, now);
        return Order::abandon;
    }
    is_running_ = true;
    due_ = now + spec_.timeout;
    return Order::begin;
}

void Probe::on_result(bool is_success, Instant now) {
    CLUSTER_ASSERT(is_running_);
    is_running_ = false;
    successes_ = is_success ? successes_ + 1 : 0;
    interval_ = std::min(interval_, spec_.period);
    due_ = now + interval_;
    interval_ *= 2;
}

std::optional<Instant> Probe::next_deadline() const {
    if (is_ready()) return std::nullopt;
    return due_;
}

}  // namespace cluster::ready
