import {
  type CanActivate,
  type ExecutionContext,
  Injectable,
  UnsupportedMediaTypeException,
} from '@nestjs/common';

/** A form of another site can send a body, with its visitor's address and cookies, but not as JSON. */
@Injectable()
export class JsonOnly implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { headers } = context.switchToHttp().getRequest<{ headers: { 'content-type'?: string } }>();
    const type = headers['content-type'];
    // Without a type nothing is parsed, and the route finds no body.
    if (type !== undefined && !/^application\/json *(;|$)/i.test(type)) {
      throw new UnsupportedMediaTypeException('Expected a body of the type application/json');
    }
    return true;
  }
}
