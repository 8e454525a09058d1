#include "ready/probe.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace cluster::ready {

Probe::Probe(Purpose purpose, const core::Probe& spec, Instant now)
    : purpose_(purpose),
      spec_(spec),
      due_(now + spec.initial_delay),
      interval_(purpose == Purpose::readiness ? kFirstInterval : spec.period) {}

Probe::Order Probe::on_time(Instant now) {
    if (verdict() == Verdict::ready || now < due_) return Order::wait;
    if (is_running_) {
        on_result(Result::bad, now);
        return Order::abandon;
    }
    is_running_ = true;
    due_ = now + spec_.timeout;
    return Order::begin;
}

void Probe::on_result(Result result, Instant now) {
    CLUSTER_ASSERT(is_running_);
    is_running_ = false;
    if (result != Result::not_asked) {
        const bool is_good = result == Result::good;
        successes_ = is_good ? successes_ + 1 : 0;
        failures_ = is_good ? 0 : failures_ + 1;
    }
    interval_ = std::min(interval_, spec_.period);
    due_ = now + interval_;
    interval_ *= 2;
}

Probe::Verdict Probe::verdict() const {
    switch (purpose_) {
        case Purpose::readiness:
            return successes_ >= spec_.success_threshold ? Verdict::ready : Verdict::open;
        case Purpose::liveness:
            return failures_ >= spec_.failure_threshold ? Verdict::hung : Verdict::open;
    }
    return Verdict::open;
}

std::optional<Instant> Probe::next_deadline() const {
    if (verdict() == Verdict::ready) return std::nullopt;
    return due_;
}

}  // namespace cluster::ready
