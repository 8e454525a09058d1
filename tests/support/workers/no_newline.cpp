// no_newline TEXT [exit]: prints TEXT without a newline; then waits, or exits 0 at once.
#include <unistd.h>

#include <string>

int main(int argc, char** argv) {
    const std::string text = argc > 1 ? argv[1] : "";
    if (::write(1, text.data(), text.size()) < 0) return 111;
    if (argc > 2) return 0;
    while (true) ::pause();
}
