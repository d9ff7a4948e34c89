package dev.fathom.examples.log;

import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.LayoutBase;
import java.util.Locale;

/** Level and message on one line, without a time: {@code warn: files ignored: count=1}. */
final class PlainLayout extends LayoutBase<ILoggingEvent> {

  @Override
  public String doLayout(ILoggingEvent event) {
    String level = event.getLevel().toString().toLowerCase(Locale.ROOT);
    return level + ": " + event.getFormattedMessage() + System.lineSeparator();
  }
}
