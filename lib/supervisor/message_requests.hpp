// messages.send, messages.publish and messages.follow: the channel from outside.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/protocol.hpp"
#include "supervisor/channels.hpp"
#include "supervisor/control_server.hpp"

namespace cluster::supervisor {

class MessageRequests {
public:
    MessageRequests(Channels& channels, ControlServer& clients)
        : channels_(channels), clients_(clients) {}

    /// False: the request is another one's.
    [[nodiscard]] bool handle(const ClientRequest& request, Instant now);
    /// Answers what can be answered now.
    void send_answers(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;

private:
    /// Who waits for the reply to a message.
    struct Asking {
        ClientId client;
        ctl::RequestId id;
        std::uint64_t request;
    };
    struct Following {
        ClientId client;
        ctl::RequestId id;
        ctl::request::Follow request;
        Instant until;
    };

    void send(const ClientRequest& request, const ctl::request::Send& send, Instant now);
    void publish(const ClientRequest& request, const ctl::request::Publish& publish);
    [[nodiscard]] bool answer(const Asking& asking);
    [[nodiscard]] bool answer(Following& following, Instant now);
    void refuse(const ClientRequest& request, std::string message);

    Channels& channels_;
    ControlServer& clients_;
    std::vector<Asking> asking_;
    std::vector<Following> following_;
};

}  // namespace cluster::supervisor
