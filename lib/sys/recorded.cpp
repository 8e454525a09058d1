#include "sys/recorded.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace cluster::sys {
namespace {

static_assert(sizeof(mmsghdr) == kRecordedCallBytes);
static_assert(offsetof(mmsghdr, msg_len) == kRecordedBytesAt);

/// As many as one message may carry (SCM_MAX_FD).
constexpr std::size_t kMaxDescriptors = 253;

/// Everything but msg_len, which a predecessor's result may stand in until it was settled.
mmsghdr& prepare(void* call, std::array<iovec, 2>& parts) {
    auto& message = *static_cast<mmsghdr*>(call);
    message.msg_hdr = msghdr{};
    message.msg_hdr.msg_iov = parts.data();
    message.msg_hdr.msg_iovlen = parts[1].iov_len > 0 ? 2 : 1;
    return message;
}

std::uint64_t close_descriptors(msghdr& message) {
    std::uint64_t count = 0;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t fds = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < fds; ++i, ++count) {
            int received = -1;
            std::memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            const UniqueFd closed{received};
        }
    }
    return count;
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> open_stream_pair(std::size_t buffer) {
    std::array<int, 2> fds{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) {
        return fail(Op::socket, errno);
    }
    std::pair<UniqueFd, UniqueFd> pair{UniqueFd{fds[0]}, UniqueFd{fds[1]}};
    const int bytes = static_cast<int>(buffer);
    for (const int fd : fds) {
        // Past net.core.wmem_max, where we may (CAP_NET_ADMIN). What is not granted makes it slower
        // and nothing else.
        if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) == 0) continue;
        static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes));
    }
    return pair;
}

Result<bool> peek_recorded(int fd) {
    char byte = 0;
    const auto count = ::recv(fd, &byte, sizeof byte, MSG_DONTWAIT | MSG_PEEK);
    if (count < 0) return fail(Op::receive, errno);
    return count > 0;
}

Result<bool> receive_recorded(int fd, void* call, std::span<std::byte> first,
                              std::span<std::byte> second, std::uint64_t& descriptors) {
    std::array<iovec, 2> parts{iovec{first.data(), first.size()},
                               iovec{second.data(), second.size()}};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control;
    mmsghdr& message = prepare(call, parts);
    message.msg_hdr.msg_control = control.data();
    message.msg_hdr.msg_controllen = control.size();
    if (::recvmmsg(fd, &message, 1, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, nullptr) != 1) {
        return fail(Op::receive, errno);
    }
    descriptors += close_descriptors(message.msg_hdr);
    return message.msg_len > 0;
}

Status send_recorded(int fd, void* call, std::span<const std::byte> first,
                     std::span<const std::byte> second, int descriptor) {
    std::array<iovec, 2> parts{iovec{const_cast<std::byte*>(first.data()), first.size()},
                               iovec{const_cast<std::byte*>(second.data()), second.size()}};
    mmsghdr& message = prepare(call, parts);
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    if (descriptor >= 0) {
        message.msg_hdr.msg_control = control.data();
        message.msg_hdr.msg_controllen = control.size();
        cmsghdr& header = *CMSG_FIRSTHDR(&message.msg_hdr);
        header.cmsg_level = SOL_SOCKET;
        header.cmsg_type = SCM_RIGHTS;
        header.cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(&header), &descriptor, sizeof(int));
    }
    if (::sendmmsg(fd, &message, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1) return fail(Op::send, errno);
    return {};
}

}  // namespace cluster::sys
