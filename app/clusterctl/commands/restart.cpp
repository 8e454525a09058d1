// clusterctl restart: a new run of each instance, whatever runs now; all at once, or some at a
// time.
//
// With --parallel the client does the sequencing: it asks for so many instances, waits until they
// are good, and asks for the next. So an instance that does not come up leaves the others as they
// are; and ending the client ends the sequence, not the restart that is under way.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "clusterctl/operation.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/format.hpp"

namespace cluster::clusterctl {
namespace {

class Restart final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "restart",
                .aliases = {},
                .usage = "[--parallel N] [options] SELECTOR…",
                .summary = "Stop and start workers again"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "What to restart: api, api.0, @site, api*, all");
        options.value("-p,--parallel", parallel_, "N",
                      "So many instances at a time; the next ones when these are good (else: all)");
        wait_.declare(options);
    }
    [[nodiscard]] int run(Session& session) override {
        constexpr const char* kExample = "clusterctl restart api";
        if (parallel_.empty() || selectors_.empty()) {
            return change_selected(session, selectors_, ctl::request::Restart{selectors_}, wait_,
                                   Shown{}, kExample);
        }
        const std::size_t parallel = read_parallel();
        (void)wait_.limit();
        if (wait_.no_wait) throw usage_failure("--parallel and --no-wait do not go together");
        Client client(session.directories());
        client.connect();
        std::vector<std::string> ids;
        for (const ctl::WorkerStatus& worker : client.status(selectors_, {"id"}).workers) {
            ids.push_back(worker.id);
        }
        return restart_in_turns(session, client, ids, parallel);
    }

private:
    [[nodiscard]] std::size_t read_parallel() const {
        std::size_t number = 0;
        const char* end = parallel_.data() + parallel_.size();
        const auto [stop, error] = std::from_chars(parallel_.data(), end, number);
        if (error != std::errc{} || stop != end || number == 0) {
            throw usage_failure("--parallel: expected a number from 1, got \"" + parallel_ + "\"");
        }
        return number;
    }

    int restart_in_turns(Session& session, Client& client, const std::vector<std::string>& ids,
                         std::size_t parallel) {
        ctl::OperationAnswer all;
        all.state = "done";
        std::size_t next = 0;
        while (next < ids.size() && all.state == "done") {
            const std::size_t count = std::min(parallel, ids.size() - next);
            const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(next);
            const std::vector<std::string> turn(begin, begin + static_cast<std::ptrdiff_t>(count));
            ctl::OperationAnswer operation = wait_until_settled(
                session, client, client.change(ctl::request::Restart{turn}), wait_.limit());
            next += count;
            all.operation = operation.operation;
            all.state = operation.state;
            all.done += operation.done;
            all.instances = std::move(operation.instances);
            all.selected.insert(all.selected.end(), operation.selected.begin(),
                                operation.selected.end());
        }
        if (next < ids.size()) {
            all.notes.push_back(fmt::format("{} not restarted, because {} is not good: {} and on",
                                            count_of(ids.size() - next, "instance"),
                                            all.instances.empty() ? "one" : all.instances[0].id,
                                            ids[next]));
        }
        return finish_operation(session, client, std::move(all), wait_, Shown{});
    }

    std::vector<std::string> selectors_;
    std::string parallel_;
    WaitOptions wait_;
};

}  // namespace

std::unique_ptr<Verb> make_restart() {
    return std::make_unique<Restart>();
}

}  // namespace cluster::clusterctl
