// What the supervisor asks for. Whatever comes over the link is refused or carried out; nothing in
// it is trusted.
#include <cerrno>
#include <utility>

#include "keeper/keeper.hpp"
#include "keeper/say.hpp"
#include "keeper/window.hpp"
#include "sys/failpoint.hpp"

namespace cluster::keeper {

using wire::Kind;
using wire::Message;

namespace {

/// So many requests a turn: signals and deaths are looked at in between.
constexpr int kMaxRequestsPerTurn = 64;
/// The supervisor was heard; it has nothing left to do but to end.
constexpr Duration kFinishGrace = std::chrono::seconds(2);
/// Own descriptors: the window, and standard ones, signals, epoll, table, link, …, rounded up.
constexpr std::uint64_t kOwnDescriptors = 32 + (window::kEnd - window::kBegin);
/// Kept free, so that a message with 64 descriptors can always be received, and a child can move as
/// many.
constexpr std::uint64_t kSpareDescriptors = 2 * wire::kMaxFdsPerMessage;

Run run_of(const Message& message) {
    return {.slot = Slot{message.slot}, .generation = Generation{message.generation}};
}

Run run_of(const wire::FurtherRun& further) {
    return {.slot = Slot{further.slot}, .generation = Generation{further.generation}};
}

bool has_our_sizes(const wire::Hello& hello) {
    return hello.message_bytes == sizeof(wire::Message) &&
           hello.slot_record_bytes == sizeof(wire::SlotRecord) &&
           hello.held_record_bytes == sizeof(wire::HeldRecord) &&
           hello.max_slots == wire::kMaxSlots && hello.max_held == wire::kMaxHeld;
}

}  // namespace

void Keeper::serve_link(Instant now) {
    sys::Packet packet;
    for (int i = 0; i < kMaxRequestsPerTurn && link_; ++i) {
        const auto request = link_->receive(packet);
        if (request) {
            handle(*request, packet, now);
            continue;
        }
        if (request.error().op == Op::message) return reject_supervisor("it sent no message");
        if (request.error().code == EAGAIN) return;
        // The other end is closed. If death is the reason, it comes by the reap path.
        return reject_supervisor(nullptr);
    }
}

void Keeper::drain_link(Instant now) {
    sys::Packet packet;
    while (link_ && !finishing_) {
        link_->forget_answer();
        const auto request = link_->receive(packet);
        if (!request) return;
        handle(*request, packet, now);
    }
}

void Keeper::close_link() {
    if (!link_) return;
    loop_.remove(link_watch_);
    link_watch_ = {};
    link_.reset();
    has_link_input_ = false;
    has_link_room_ = false;
}

void Keeper::reject_supervisor(const char* reason) {
    if (reason != nullptr) {
        say("supervisor (pid %d) is killed: %s", supervisor_.pid(), reason);
    }
    // What it sent before the nonsense was carried out; what came behind is not believed. If it
    // only closed its end, it is of no use any more.
    supervisor_.kill();
    close_link();
}

void Keeper::update_link_interest() {
    if (!link_) return;
    // Of no use without answers; what it had sent is drained when its death is seen.
    if (link_->is_broken()) supervisor_.kill();
    const ev::Interest wanted = link_->interest();
    if (wanted.readable == link_interest_.readable && wanted.writable == link_interest_.writable) {
        return;
    }
    link_interest_ = wanted;
    if (!loop_.modify(link_watch_, wanted)) reject_supervisor("its link cannot be watched");
}

void Keeper::handle(const Message& request, sys::Packet& packet, Instant now) {
    if (has_greeted_) return handle_greeted(request, packet, now);
    if (request.kind != Kind::hello || !has_our_sizes(request.payload.hello)) {
        return reject_supervisor("its hello is of another version");
    }
    has_greeted_ = true;
    is_batching_ = request.payload.hello.batches != 0;
    pass_on(0);
}

void Keeper::handle_greeted(const Message& request, sys::Packet& packet, Instant now) {
    switch (request.kind) {
        case Kind::spawn:
            return settle(request, run_of(request), on_spawn(request, packet, now));
        case Kind::signal:
            return on_signal(request);
        case Kind::release:
            return on_release(request);
        case Kind::hold:
            return settle(request, run_of(request), on_hold(request, packet));
        case Kind::drop:
            return on_drop(request);
        case Kind::fetch:
            return on_fetch(request, now);
        case Kind::finish:
            return settle(request, run_of(request), on_finish(request, now));
        case Kind::upgrade:
            return settle(request, run_of(request), on_upgrade(packet));
        case Kind::hello:
        case Kind::spawned:
        case Kind::changed:
        case Kind::held:
        case Kind::terminate:
        case Kind::reload:
        case Kind::rotate:
        case Kind::refused:
        case Kind::succeeded:
            return reject_supervisor("it sent what only the keeper may send");
    }
}

/// `run`: the one of those that the request names whose outcome this is.
void Keeper::settle(const Message& request, Run run, const Status& outcome) {
    if (outcome || !link_) return;
    ring_all();
    Message refusal = wire::make_message(Kind::refused, run);
    refusal.sequence = request.sequence;
    refusal.payload.refused = {.sequence = request.sequence,
                               .op = static_cast<std::int32_t>(outcome.error().op),
                               .code = outcome.error().code};
    link_->answer(refusal);
}

void Keeper::on_signal(const Message& request) {
    const wire::Signal& wanted = request.payload.signal;
    settle(request, run_of(request), runs_.signal(run_of(request), wanted));
    for (const wire::FurtherRun& further : wanted.further) {
        if (further.generation == 0) return;
        settle(request, run_of(further), runs_.signal(run_of(further), wanted));
    }
}

void Keeper::on_release(const Message& request) {
    settle(request, run_of(request), runs_.release(run_of(request)));
    for (const wire::FurtherRun& further : request.payload.release.further) {
        if (further.generation == 0) return;
        settle(request, run_of(further), runs_.release(run_of(further)));
    }
}

void Keeper::on_drop(const Message& request) {
    bool is_first = true;
    for (const wire::HeldKey& key : request.payload.drop.keys) {
        if (key.kind == wire::HeldKind::none && !is_first) return;
        settle(request, run_of(request), custody_.drop(key));
        is_first = false;
    }
}

/// The table says something new of the slot. Said at the end of the turn at the latest.
void Keeper::ring(Slot slot) {
    if (!link_) return;
    changed_.push_back(slot);
    if (!is_batching_ || changed_.size() == Link::kMaxRung) ring_all();
}

void Keeper::ring_all() {
    if (link_ && !changed_.empty()) link_->ring(changed_);
    changed_.clear();
}

Status Keeper::on_spawn(const Message& request, sys::Packet& packet, Instant now) {
    if (packet.fd_count == 0) return fail(Op::plan, EINVAL);
    if (!has_descriptors_to_spare(kSpareDescriptors)) return fail(Op::limit_reached, EMFILE);
    std::array<int, wire::kMaxFdsPerMessage> fds;
    for (std::size_t i = 1; i < packet.fd_count; ++i) fds[i - 1] = packet.fds[i].get();
    const Run run = run_of(request);
    const auto known = runs_.spawn(run, Epoch{request.payload.spawn.epoch}, packet.fds[0].get(),
                                   {fds.data(), packet.fd_count - 1}, process_.defaults, now);
    if (!known || !link_) return known;
    ring_all();
    Message answer = runs_.make_answer(run);
    answer.sequence = request.sequence;
    link_->answer(answer);
    return {};
}

Status Keeper::on_hold(const Message& request, sys::Packet& packet) {
    if (packet.fd_count == 0) return fail(Op::message, EINVAL);
    wire::HeldKey key = request.payload.hold.key;
    // What a successor of the supervisor cannot do without may use half of the spare ones.
    const bool is_vital = key.kind == wire::HeldKind::spec || key.kind == wire::HeldKind::state;
    if (!has_descriptors_to_spare(is_vital ? kSpareDescriptors / 2 : kSpareDescriptors)) {
        return fail(Op::limit_reached, EMFILE);
    }
    for (std::size_t i = 0; i < packet.fd_count; ++i) {
        if (auto held = custody_.hold(key, std::move(packet.fds[i])); !held) return held;
        ++key.index;
        sys::pass(Failpoint::descriptor_held);
    }
    return {};
}

void Keeper::on_fetch(const Message& request, Instant now) {
    // With the end of the list it has everything.
    if (custody_.batch(request.payload.fetch.first).count == 0) dismiss_predecessor(now);
    Message answer = wire::make_message(Kind::held);
    answer.sequence = request.sequence;
    answer.payload.fetch = {.first = request.payload.fetch.first, .count = 0};
    link_->answer(answer);
}

Status Keeper::on_finish(const Message& request, Instant now) {
    if (runs_.live_count() != 0) return fail(Op::message, EBUSY);
    finishing_ = Finishing{.code = request.payload.finish.code, .deadline = now + kFinishGrace};
    // The end of the link is the answer.
    if (supervisor_.is_alive()) close_link();
    return {};
}

std::size_t Keeper::attach(Message& message, std::span<int> fds) const {
    if (message.kind == Kind::hello) {
        fds[0] = table_file_.get();
        return 1;
    }
    if (message.kind == Kind::spawned) {
        fds[0] = runs_.pidfd(run_of(message));
        return fds[0] >= 0 ? 1 : 0;
    }
    if (message.kind == Kind::held) {
        const Custody::Batch batch = custody_.batch(message.payload.fetch.first);
        message.payload.fetch.count = batch.count;
        std::copy_n(batch.fds.begin(), batch.fd_count, fds.begin());
        return batch.fd_count;
    }
    return 0;
}

bool Keeper::has_descriptors_to_spare(std::uint64_t spare) const {
    const std::uint64_t open = kOwnDescriptors + custody_.count() + runs_.live_count();
    return open + spare <= process_.max_descriptors;
}

}  // namespace cluster::keeper
