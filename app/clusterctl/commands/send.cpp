// clusterctl send and publish: a message to workers over their channels.
#include <charconv>

#include "clusterctl/client.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/format.hpp"
#include "clusterctl/view/message_view.hpp"
#include "clusterctl/view/text.hpp"
#include "json/text.hpp"

namespace cluster::clusterctl {
namespace {

/// Throws for what is no JSON, before anybody is asked to take it.
void check_json(const std::string& text) {
    if (json::is_json(text)) return;
    throw usage_failure("not one value of JSON: \"" + one_line(text) + "\"",
                        "texts need quotes of their own: '\"text\"'");
}

int show_delivered(const Session& session, const ctl::SendAnswer& answer) {
    if (session.options().is_json) {
        print(sent_document(answer));
    } else {
        print("delivered to " + count_of(answer.delivered, "instance") + "\n");
    }
    return answer.delivered > 0 ? kDone : kFailed;
}

class SendVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "send",
                .aliases = {},
                .usage = "SELECTOR JSON [--wait MS]",
                .summary = "Send a message to workers over their channels"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR JSON", words_, "whom, and one value of JSON");
        options.value("--wait", wait_, "MS",
                      "Ask one of them and show its reply; give up after so many milliseconds");
    }
    [[nodiscard]] int run(Session& session) override {
        if (words_.size() != 2) {
            throw usage_failure("expected whom to send it to, and one value of JSON",
                                "for example: clusterctl send api '{\"type\":\"refresh\"}'");
        }
        check_json(words_[1]);
        ctl::request::Send send{words_[0], words_[1], read_wait()};
        Client client(session.directories());
        client.connect();
        const bool is_request = send.wait_ms.has_value();
        const ctl::SendAnswer answer = client.send_message(std::move(send));
        if (!is_request) return show_delivered(session, answer);
        if (session.options().is_json) {
            print(sent_document(answer));
        } else if (answer.reply) {
            print(*answer.reply + "\n");
        }
        if (!answer.error) return kDone;
        if (session.options().is_json) return kFailed;
        throw Failure(kFailed, "failed", "no reply: " + one_line(*answer.error),
                      "a worker replies with {\"cluster\":\"reply\",\"id\":…,\"data\":…}");
    }

private:
    [[nodiscard]] std::optional<std::uint32_t> read_wait() const {
        if (wait_.empty()) return std::nullopt;
        std::uint32_t ms = 0;
        const char* const end = wait_.data() + wait_.size();
        const auto [stop, error] = std::from_chars(wait_.data(), end, ms);
        if (error != std::errc{} || stop != end || ms < 1 || ms > 600'000) {
            throw usage_failure("--wait: expected 1 to 600000 milliseconds, got \"" + wait_ + "\"");
        }
        return ms;
    }

    std::vector<std::string> words_;
    std::string wait_;
};

class PublishVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "publish",
                .aliases = {},
                .usage = "TOPIC JSON",
                .summary = "Publish a message to the workers that subscribed to its topic"};
    }
    void declare(OptionSink& options) override {
        options.words("TOPIC JSON", words_, "the topic, and one value of JSON");
    }
    [[nodiscard]] int run(Session& session) override {
        if (words_.size() != 2) {
            throw usage_failure("expected a topic and one value of JSON",
                                "for example: clusterctl publish news '{\"n\":1}'");
        }
        check_json(words_[1]);
        Client client(session.directories());
        client.connect();
        static_cast<void>(show_delivered(session, client.publish_message({words_[0], words_[1]})));
        return kDone;
    }

private:
    std::vector<std::string> words_;
};

}  // namespace

std::unique_ptr<Verb> make_send() {
    return std::make_unique<SendVerb>();
}

std::unique_ptr<Verb> make_publish() {
    return std::make_unique<PublishVerb>();
}

}  // namespace cluster::clusterctl
