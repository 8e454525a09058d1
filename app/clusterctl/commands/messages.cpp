// clusterctl messages: what workers say over their channels, from now on.
#include "clusterctl/client.hpp"
#include "clusterctl/interrupt.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/message_view.hpp"
#include "clusterctl/view/text.hpp"

namespace cluster::clusterctl {
namespace {

/// One question waits so long for its answer.
constexpr std::uint32_t kWaitMs = 30'000;

class MessagesVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "messages",
                .aliases = {},
                .usage = "-f [--topic PATTERN]",
                .summary = "Follow the messages of workers"};
    }
    void declare(OptionSink& options) override {
        options.flag("-f,--follow", follow_, "Required: messages are not kept, only followed");
        options.value("--topic", topic_, "PATTERN", "Only what is published to such topics");
    }
    [[nodiscard]] int run(Session& session) override {
        if (!follow_) {
            throw usage_failure("messages are not kept; they can only be followed",
                                "clusterctl messages -f");
        }
        Client client(session.directories());
        client.connect();
        std::uint64_t after = client.follow_messages({std::nullopt, topic_, 0}).last;
        while (true) {
            const ctl::FollowAnswer answer = client.follow_messages({after, topic_, kWaitMs});
            after = answer.last;
            if (answer.missed > 0) {
                print_error(std::to_string(answer.missed) + " messages were missed\n");
            }
            for (const ctl::SeenMessage& message : answer.messages) show(session, message);
            if (!finish_output()) return kFailed;
        }
    }

private:
    static void show(const Session& session, const ctl::SeenMessage& message) {
        if (session.options().is_json) {
            print(message_document(message));
            return;
        }
        std::string line = message.from.value_or("clusterctl");
        if (message.topic) line += " " + *message.topic;
        print(one_line(line + " " + message.message) + "\n");
    }

    bool follow_ = false;
    std::string topic_;
};

}  // namespace

std::unique_ptr<Verb> make_messages() {
    return std::make_unique<MessagesVerb>();
}

}  // namespace cluster::clusterctl
