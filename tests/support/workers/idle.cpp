// idle: prints "started" and waits for a signal that ends it.
#include <unistd.h>

int main() {
    if (::write(1, "started\n", 8) != 8) return 111;
    while (true) ::pause();
}
