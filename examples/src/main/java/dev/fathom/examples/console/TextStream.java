package dev.fathom.examples.console;

import java.io.BufferedOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** Prints UTF-8 and remembers why writing failed, which a print stream alone forgets. */
final class TextStream extends PrintStream {

  private final Remembering target;

  private TextStream(Remembering target, int bufferBytes) {
    super(new BufferedOutputStream(target, bufferBytes), false, StandardCharsets.UTF_8);
    this.target = target;
  }

  static TextStream over(OutputStream stream, int bufferBytes) {
    return new TextStream(new Remembering(stream), bufferBytes);
  }

  /** Returns the first failure in the words of the operating system. */
  String failure() {
    IOException first = target.first;
    return first == null ? "its stream is broken" : String.valueOf(first.getMessage());
  }

  private static final class Remembering extends FilterOutputStream {

    private volatile @Nullable IOException first;

    Remembering(OutputStream stream) {
      super(stream);
    }

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      try {
        out.write(bytes, offset, length);
      } catch (IOException e) {
        if (first == null) {
          first = e;
        }
        throw e;
      }
    }
  }
}
