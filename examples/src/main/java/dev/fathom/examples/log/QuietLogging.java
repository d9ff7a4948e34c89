package dev.fathom.examples.log;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.Configurator;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.ConsoleAppender;
import ch.qos.logback.core.encoder.LayoutWrappingEncoder;
import ch.qos.logback.core.spi.ContextAwareBase;
import java.nio.charset.StandardCharsets;
import org.slf4j.LoggerFactory;

/**
 * Configures logback in code, which starts faster than its XML: warnings and errors go to standard
 * error, one plain line each. Found by logback as a service.
 */
public final class QuietLogging extends ContextAwareBase implements Configurator {

  /** Called by logback. */
  public QuietLogging() {}

  @Override
  public ExecutionStatus configure(LoggerContext context) {
    PlainLayout layout = new PlainLayout();
    layout.setContext(context);
    layout.start();

    LayoutWrappingEncoder<ILoggingEvent> encoder = new LayoutWrappingEncoder<>();
    encoder.setContext(context);
    encoder.setCharset(StandardCharsets.UTF_8);
    encoder.setLayout(layout);
    encoder.start();

    ConsoleAppender<ILoggingEvent> appender = new ConsoleAppender<>();
    appender.setContext(context);
    appender.setName("stderr");
    appender.setTarget("System.err");
    appender.setEncoder(encoder);
    appender.start();

    context.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME).addAppender(appender);
    levels(context, Level.WARN, Level.ERROR);
    return ExecutionStatus.DO_NOT_INVOKE_NEXT_IF_ANY;
  }

  /** Logs decisions too, until {@link #quiet}. */
  public static void verbose() {
    if (LoggerFactory.getILoggerFactory() instanceof LoggerContext context) {
      levels(context, Level.INFO, Level.INFO);
    }
  }

  /** Logs warnings alone again. */
  public static void quiet() {
    if (LoggerFactory.getILoggerFactory() instanceof LoggerContext context) {
      levels(context, Level.WARN, Level.ERROR);
    }
  }

  private static void levels(LoggerContext context, Level all, Level backendSelection) {
    context.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME).setLevel(all);
    // The command line says the same once, with the command to type.
    context.getLogger("dev.fathom.engine.BackendSelection").setLevel(backendSelection);
  }
}
