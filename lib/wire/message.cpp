#include "wire/message.hpp"

#include <cerrno>
#include <cstring>

namespace cluster::wire {

// PROTOCOL.md has the byte tables.
static_assert(offsetof(Message, version) == 4 && offsetof(Message, kind) == 6);
static_assert(offsetof(Message, sequence) == 8 && offsetof(Message, slot) == 16);
static_assert(offsetof(Message, fd_count) == 20 && offsetof(Message, generation) == 24);
static_assert(offsetof(Hello, boot_id_low) == 24 && offsetof(Hello, batches) == 48);
static_assert(sizeof(Hello) == 56 && sizeof(FurtherRun) == 16);
static_assert(offsetof(FurtherRun, generation) == 8 && offsetof(Signal, further) == 16);
static_assert(sizeof(Signal) == 96 && sizeof(Release) == 96 && sizeof(Drop) == 96);
static_assert(sizeof(Changed) == 96);
static_assert(offsetof(HeldKey, slot) == 4 && offsetof(HeldKey, generation) == 8);
static_assert(sizeof(Spawned) == 16 && sizeof(Refused) == 16 && sizeof(Payload) == 96);

namespace {

bool is_known(Kind kind) {
    switch (kind) {
        case Kind::hello:
        case Kind::spawn:
        case Kind::signal:
        case Kind::release:
        case Kind::hold:
        case Kind::drop:
        case Kind::fetch:
        case Kind::finish:
        case Kind::upgrade:
        case Kind::spawned:
        case Kind::changed:
        case Kind::held:
        case Kind::terminate:
        case Kind::reload:
        case Kind::rotate:
        case Kind::refused:
        case Kind::succeeded:
            return true;
    }
    return false;  // a number from the other process that names nothing
}

}  // namespace

Message make_message(Kind kind) {
    Message message;
    message.kind = kind;
    return message;
}

Message make_message(Kind kind, Run run) {
    Message message = make_message(kind);
    message.slot = run.slot.value;
    message.generation = run.generation.value;
    return message;
}

Result<Message> decode(const void* bytes, std::size_t size, std::size_t fds_received) {
    if (size != sizeof(Message)) return fail(Op::message, EPROTO);
    Message message;
    std::memcpy(&message, bytes, sizeof message);
    const bool is_ours = message.magic == kMessageMagic && message.version == kProtocolVersion;
    if (!is_ours || !is_known(message.kind)) return fail(Op::message, EPROTO);
    if (message.fd_count > kMaxFdsPerMessage || message.fd_count != fds_received) {
        return fail(Op::message, EPROTO);
    }
    return message;
}

}  // namespace cluster::wire
