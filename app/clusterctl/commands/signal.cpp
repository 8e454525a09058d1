// clusterctl signal: one signal to the main process of each running instance. What follows from it
// is the worker's matter, and the restart policy's.
#include "clusterctl/client.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/format.hpp"
#include "clusterctl/view/text.hpp"
#include "conf/values.hpp"
#include "ctl/documents.hpp"

namespace cluster::clusterctl {
namespace {

class SignalVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "signal",
                .aliases = {},
                .usage = "SIGNAL SELECTOR…",
                .summary = "Send a signal to the main processes of workers"};
    }
    void declare(OptionSink& options) override {
        options.words("SIGNAL SELECTOR", words_, "HUP, SIGUSR1, 10, RTMIN+1; then whom");
    }
    [[nodiscard]] int run(Session& session) override {
        if (words_.size() < 2) {
            throw usage_failure("expected a signal and whom to send it to",
                                "for example: clusterctl signal HUP api");
        }
        const tl::expected<int, std::string> signal = conf::parse_signal(words_.front());
        if (!signal) {
            throw usage_failure(signal.error(),
                                "the signal comes first: clusterctl signal HUP api");
        }
        Client client(session.directories());
        client.connect();
        const ctl::OperationAnswer answer =
            client.change(ctl::request::Signal{*signal, {words_.begin() + 1, words_.end()}});
        if (session.options().is_json) {
            print(ctl::operation_document(answer, std::nullopt));
            return kDone;
        }
        for (const std::string& note : answer.notes) print_error(one_line(note) + "\n");
        print(conf::signal_name(*signal) + " sent to " + count_of(answer.done, "instance") + "\n");
        return kDone;
    }

private:
    std::vector<std::string> words_;
};

}  // namespace

std::unique_ptr<Verb> make_signal() {
    return std::make_unique<SignalVerb>();
}

}  // namespace cluster::clusterctl
