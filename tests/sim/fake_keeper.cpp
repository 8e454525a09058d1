#include "sim/fake_keeper.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace cluster::sim {

namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;

constexpr int kSigkill = 9;

}  // namespace

FakeKeeper::FakeKeeper(std::uint32_t slots, std::uint64_t seed, Trace& trace)
    : table_(slots), newest_exit_message_(slots), prng_(seed), trace_(trace) {}

void FakeKeeper::spawn(Slot slot, Generation generation, Instant now) {
    Record& record = table_[slot.value];
    if (generation <= record.generation) return;
    if (record.leader_alive) breaks("two live runs of one slot", slot);
    if (record.state == RecordState::exited) breaks("a spawn over an exit not released", slot);
    record = {};
    record.generation = generation;
    trace_.note("spawn", slot, generation.value, 0, now);
    if (prng_.chance(faults_.spawn_shortage + faults_.exec_failure)) {
        const bool is_shortage = prng_.chance(
            faults_.spawn_shortage / (faults_.spawn_shortage + faults_.exec_failure));
        const int code = is_shortage ? EAGAIN : ENOENT;
        const Op op = is_shortage ? Op::clone : Op::exec;
        record.state = RecordState::exited;
        record.status = {core::ExitStatus::Kind::spawn_failed, code, op, false};
        ++counts_.failed;
        send(slot, core::event::SpawnFailed{generation, op, code}, now);
        return;
    }
    ++counts_.spawned;
    record.state = RecordState::running;
    record.leader_alive = true;
    record.group_alive = true;
    record.ignores_stop = prng_.chance(faults_.ignore_stop);
    send(slot, core::event::SpawnSucceeded{generation}, now);
    plan_words(slot, generation, now);
    if (prng_.chance(faults_.crash_at_once)) {
        doom(slot, up_to(500us), random_status(), now);
    } else if (prng_.chance(faults_.mortality)) {
        doom(slot, prng_.chance(0.5) ? up_to(100ms) : up_to(4s), random_status(), now);
    }
}

/// What the run will say by itself, or show to a probe.
void FakeKeeper::plan_words(Slot slot, Generation generation, Instant now) {
    if (!prng_.chance(faults_.never_ready)) {
        push(now + up_to(1s), What::word, slot, generation, core::event::BecameReady{generation});
    }
    if (!prng_.chance(faults_.odd_words)) return;
    const Instant at = now + up_to(4s);
    switch (prng_.below(4)) {
        case 0:
            push(at, What::word, slot, generation, core::event::Leaving{generation});
            break;
        case 1:
            push(at, What::word, slot, generation,
                 core::event::ExtendTimeout{generation, up_to(3s)});
            break;
        case 2:
            push(at, What::word, slot, generation, core::event::OverMemory{generation});
            break;
        default:
            push(at, What::word, slot, generation,
                 core::event::Hung{generation, prng_.chance(0.5) ? core::ExitReason::watchdog
                                                                 : core::ExitReason::liveness});
            break;
    }
}

void FakeKeeper::say_word(const Item& item) {
    Record& record = table_[item.slot.value];
    if (record.generation != item.generation || !record.leader_alive) return;
    const bool is_ready = std::holds_alternative<core::event::BecameReady>(item.event);
    record.is_ready = record.is_ready || is_ready;
    send(item.slot, item.event, item.at);
}

void FakeKeeper::signal(Slot slot, Generation generation, int number, Instant now) {
    Record& record = table_[slot.value];
    if (generation > record.generation) breaks("a signal to a run never spawned", slot);
    if (generation != record.generation || record.state == RecordState::free) return;
    trace_.note("signal", slot, generation.value, number, now);
    record.was_signalled = true;
    if (!record.leader_alive && !record.group_alive) return;
    const core::ExitStatus by_signal{core::ExitStatus::Kind::signal, number, Op::none, false};
    if (number == kSigkill) {
        if (record.leader_alive) doom(slot, up_to(1ms), by_signal, now);
        const bool escapes = prng_.chance(faults_.escape_kill);
        if (!escapes) push(now + 1ms, What::group_dies, slot, generation, core::event::Tick{});
        return;
    }
    if (record.leader_alive && !record.ignores_stop) doom(slot, up_to(1s), by_signal, now);
}

void FakeKeeper::tell(Slot slot, Generation generation, Instant now) {
    const Record& record = table_[slot.value];
    if (generation != record.generation || !record.leader_alive) return;
    trace_.note("reload", slot, generation.value, 0, now);
    const core::ExitStatus by_itself{core::ExitStatus::Kind::code, 1, Op::none, false};
    if (prng_.chance(faults_.odd_words)) {
        const Instant at = now + up_to(1s);
        push(at, What::word, slot, generation, core::event::Reloading{generation, {}});
        if (!prng_.chance(faults_.never_ready)) {
            push(at + up_to(3s), What::word, slot, generation,
                 core::event::BecameReady{generation});
        }
    }
    if (prng_.chance(faults_.dies_of_reload)) doom(slot, up_to(1s), by_itself, now);
}

void FakeKeeper::release(Slot slot, Generation generation, Instant now) {
    Record& record = table_[slot.value];
    if (generation != record.generation || record.state == RecordState::free) return;
    if (record.leader_alive) breaks("a release of a live run", slot);
    if (record.was_signalled && record.group_alive) breaks("a stop ended before its group", slot);
    trace_.note("release", slot, generation.value, 0, now);
    ++counts_.released;
    record.state = RecordState::free;
}

void FakeKeeper::drop_messages() {
    ++link_;
}

void FakeKeeper::strike(Slot slot, const core::ExitStatus& status, Instant now,
                        std::vector<Delivery>& arrived) {
    Record& record = table_[slot.value];
    if (!record.leader_alive) return;
    trace_.note("struck", slot, record.generation.value, status.value, now);
    ++counts_.reaped;
    record.leader_alive = false;
    record.group_alive = false;
    record.state = RecordState::exited;
    record.status = status;
    arrived.push_back({slot, core::event::ProcessExited{record.generation, status, false}});
}

void FakeKeeper::make_mortal(Instant now) {
    for (std::uint32_t slot = 0; slot < table_.size(); ++slot) {
        if (table_[slot].leader_alive) doom(Slot{slot}, up_to(5s), random_status(), now);
    }
}

std::optional<Instant> FakeKeeper::next_time() const {
    if (items_.empty()) return std::nullopt;
    return items_.front().at;
}

void FakeKeeper::advance(Instant now, std::vector<Delivery>& arrived) {
    while (!items_.empty() && items_.front().at <= now) {
        std::pop_heap(items_.begin(), items_.end(), is_later);
        const Item item = items_.back();
        items_.pop_back();
        switch (item.what) {
            case What::leader_dies:
                end_leader(item);
                break;
            case What::group_dies:
                end_group(item);
                break;
            case What::message:
                if (item.link == link_) arrived.push_back({item.slot, item.event});
                break;
            case What::word:
                say_word(item);
                break;
        }
    }
}

bool FakeKeeper::is_later(const Item& a, const Item& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
}

void FakeKeeper::push(Instant at, What what, Slot slot, Generation generation,
                      const core::Event& event) {
    items_.push_back({at, order_++, what, slot, generation, link_, event});
    std::push_heap(items_.begin(), items_.end(), is_later);
}

void FakeKeeper::send(Slot slot, const core::Event& event, Instant now) {
    Instant at = now + up_to(prng_.chance(faults_.late) ? Duration{3s} : Duration{1ms});
    if (std::holds_alternative<core::event::GroupEmptied>(event)) {
        at = std::max(at, newest_exit_message_[slot.value]);
    } else if (std::holds_alternative<core::event::ProcessExited>(event)) {
        newest_exit_message_[slot.value] = at;
    }
    const Generation run = table_[slot.value].generation;
    push(at, What::message, slot, run, event);
    if (prng_.chance(faults_.duplicate)) push(at + up_to(5s), What::message, slot, run, event);
}

void FakeKeeper::doom(Slot slot, Duration after, const core::ExitStatus& status, Instant now) {
    const Generation run = table_[slot.value].generation;
    push(now + after, What::leader_dies, slot, run, core::event::ProcessExited{run, status, false});
}

void FakeKeeper::end_leader(const Item& item) {
    Record& record = table_[item.slot.value];
    if (record.generation != item.generation || !record.leader_alive) return;
    auto exit = std::get<core::event::ProcessExited>(item.event);
    trace_.note("death", item.slot, item.generation.value, exit.status.value, item.at);
    ++counts_.reaped;
    record.leader_alive = false;
    record.group_alive = prng_.chance(faults_.group_outlives);
    record.state = RecordState::exited;
    record.status = exit.status;
    exit.group_alive = record.group_alive;
    send(item.slot, exit, item.at);
    if (record.group_alive && prng_.chance(0.7)) {
        push(item.at + up_to(5s), What::group_dies, item.slot, item.generation, item.event);
    }
}

void FakeKeeper::end_group(const Item& item) {
    Record& record = table_[item.slot.value];
    if (record.generation != item.generation || record.leader_alive || !record.group_alive) return;
    trace_.note("group end", item.slot, item.generation.value, 0, item.at);
    record.group_alive = false;
    if (record.state == RecordState::exited) {
        send(item.slot, core::event::GroupEmptied{item.generation}, item.at);
    }
}

Duration FakeKeeper::up_to(Duration limit) {
    return Duration{
        static_cast<Duration::rep>(prng_.below(static_cast<std::uint64_t>(limit.count())))};
}

core::ExitStatus FakeKeeper::random_status() {
    switch (prng_.below(4)) {
        case 0:
            return {core::ExitStatus::Kind::code, 0, Op::none, false};
        case 1:
            return {core::ExitStatus::Kind::signal, 11, Op::none, true};
        case 2:
            return {core::ExitStatus::Kind::unknown, 0, Op::none, false};
        default:
            return {core::ExitStatus::Kind::code, 1, Op::none, false};
    }
}

void FakeKeeper::breaks(const char* rule, Slot slot) {
    if (broken_.empty()) broken_ = std::string{rule} + ", slot " + std::to_string(slot.value);
}

}  // namespace cluster::sim
