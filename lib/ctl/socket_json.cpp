// Listening sockets in answers. Field order is that of CONTROL.md.
#include <limits>
#include <utility>

#include "ctl/answer_fields.hpp"

namespace cluster::ctl {
namespace {

constexpr std::uint64_t kMaxUint32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::int64_t kMaxInt32 = std::numeric_limits<std::int32_t>::max();

SocketStatus read_socket_status(const Json& value, const std::string& where) {
    FieldReader fields(value, where, UnknownFields::ignore);
    SocketStatus socket;
    socket.name = fields.text("name");
    socket.kind = fields.text("kind");
    socket.listen = fields.text("listen");
    socket.address = fields.optional_text("address");
    socket.problem = fields.optional_text("problem");
    if (fields.find("waiting") != nullptr) {
        socket.waiting = static_cast<std::uint32_t>(fields.counter("waiting", kMaxUint32));
    }
    if (fields.find("number") != nullptr) {
        socket.number = static_cast<std::int32_t>(fields.integer("number", 0, kMaxInt32));
    }
    return socket;
}

}  // namespace

Json sockets_fields(const std::vector<SocketStatus>& sockets) {
    Json list = Json::array();
    for (const SocketStatus& socket : sockets) {
        Json fields{{"name", socket.name},       {"kind", socket.kind},
                    {"listen", socket.listen},   {"address", socket.address},
                    {"problem", socket.problem}, {"waiting", socket.waiting}};
        if (socket.number) fields["number"] = *socket.number;
        list.push_back(std::move(fields));
    }
    return list;
}

std::vector<SocketStatus> read_sockets(FieldReader& fields) {
    std::vector<SocketStatus> sockets;
    // An older daemon knows of none.
    if (fields.find("sockets") == nullptr) return sockets;
    for (const Json& element : fields.array("sockets", kAnswerBounds.values)) {
        sockets.push_back(read_socket_status(element, fields.path("sockets", sockets.size())));
    }
    return sockets;
}

}  // namespace cluster::ctl
